#!/bin/sh
# Runs a command with a Node that package.json's `engines` takes: the machine's own where it is new enough, otherwise
# Node 24 from the npm registry, kept in .cache/node. The folder it is called from stays the current one.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

enough() {
  "$1" -e '
    const [need, have] = [require(process.argv[1]).engines.node, process.versions.node].map(text => text.match(/\d+/g).map(Number))
    const differs = have.findIndex((part, index) => part !== need[index])
    process.exit((differs < 0 || have[differs] > need[differs]) && process.features.typescript ? 0 : 1)
  ' "$root/package.json" 2>/dev/null
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "Hoofbeat needs Node.js with npm: install it (Debian: apt-get install nodejs npm, or https://nodejs.org)." >&2
  exit 1
fi
if ! enough node; then
  package=node-$(node -p 'process.platform + "-" + process.arch')
  bin=$root/.cache/node/node_modules/$package/bin
  if ! enough "$bin/node"; then
    echo "This machine has Node $(node -v); Hoofbeat needs a newer one: getting $package@24 from npm into .cache/node" >&2
    new=$root/.cache/node.$$
    # In the background, because a shell heeds signals only while it waits.
    npm install --prefix "$new" --no-save --no-audit --no-fund --ignore-scripts --loglevel=error --silent "$package@24" >&2 &
    npm=$!
    trap 'rm -rf "$new"' EXIT
    trap 'kill "$npm"; wait "$npm"; exit 1' HUP INT TERM
    wait "$npm" || {
      echo "npm could not install $package@24: install Node 24 from https://nodejs.org instead, or try again." >&2
      exit 1
    }
    rm -rf "$root/.cache/node"
    mv "$new" "$root/.cache/node"
    trap - EXIT HUP INT TERM
    enough "$bin/node" || {
      echo "$bin/node does not run here: install Node 24 from https://nodejs.org." >&2
      exit 1
    }
  fi
  PATH=$bin:$PATH
  export PATH
fi
exec "$@"
