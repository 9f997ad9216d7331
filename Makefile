# Hoofbeat. The work is done in scripts/; here are the names of it.

# What is given on the command line reaches the node as it stands, `$` included (make would expand it).
$(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(eval override export $(name) := $$(value $(name)))))
unexport MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

node := scripts/node.sh

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22
	@echo; echo 'Every configuration key of the README can be given: make start PORT=8081 LOG_LEVEL=debug'

start: ## a node and the chat page on http://localhost:8080; sets itself up, needs Node.js alone
	@$(node) node scripts/page.ts
	@exec $(node) node --max-semi-space-size=8 server/main.ts

test: ## all tests; installs and starts what they need, and stops it again
	@$(node) node scripts/install.ts full
	@exec $(node) node scripts/run-tests.ts

dev: ## the server and the page, both following changes of their source
	@$(node) node scripts/install.ts full
	@exec $(node) node scripts/dev.ts

node: ## a node alone, on what is installed and built already
	@exec $(node) node --max-semi-space-size=8 server/main.ts

fleet: ## NODES=3 nodes on what make services has started, from PORT=8080 and STOMP_PORT=61613 up
	@$(node) node scripts/page.ts
	@exec $(node) node scripts/fleet.ts

kafka: ## one Kafka broker in the background, on 127.0.0.1:9092
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/kafka.ts start

kafka-cluster: ## three Kafka brokers in the background, on 127.0.0.1:9092 to 9094
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/kafka.ts cluster

kafka-secure: ## one Kafka broker that asks for a password or a certificate over TLS; says how to connect
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/kafka.ts secure

kafka-stop: ## end what kafka, kafka-cluster or kafka-secure began
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/kafka.ts stop

redis: ## a Redis in the background, on 127.0.0.1:6379, for REDIS_URL
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/redis.ts start

redis-stop: ## end what redis began
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/redis.ts stop

postgres: ## a PostgreSQL in the background, on 127.0.0.1:5432, for DATABASE_URL
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/postgres.ts start

postgres-stop: ## end what postgres began
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/postgres.ts stop

services: ## kafka, postgres and redis together: what make fleet runs on
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/services.ts start

services-stop: ## end what services began
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/services/services.ts stop

admin: ## NAME=ann: makes that account an admin, and the account where there is none
	@$(node) node scripts/install.ts runtime
	@exec $(node) node scripts/admin.ts

check: ## types, lint, format, dead code, imports, sizes, audit
	@$(node) node scripts/install.ts full
	@exec $(node) node scripts/check.ts

bench: ## the benchmarks, about 35 minutes; SCENARIO=fanout: that one; QUICK=1: shorter
	@$(node) node scripts/install.ts full
	@exec $(node) node scripts/bench/run.ts

chaos: ## faults at random, every message counted: CYCLES=100 PART=fleet|embedded; SEED repeats
	@$(node) node scripts/install.ts full
	@exec $(node) node --disable-warning=TimeoutNegativeWarning scripts/chaos/main.ts

fuzz: ## whole connections against a model of the protocol: FRAMES=1000000; SEED repeats
	@$(node) node scripts/install.ts full
	@exec $(node) node scripts/fuzz.ts

image: ## the Docker image hoofbeat
	@docker version >/dev/null 2>&1 || { echo 'make image needs Docker, running: https://docs.docker.com/engine/install' >&2; exit 1; }
	docker build -t hoofbeat .

clean: ## remove what can be made again; data, and that of make services, stays
	rm -rf node_modules client/node_modules client/dist .tap .cache/node .cache/kafka .cache/embedded .cache/page.sha256

.PHONY: help start test dev node fleet kafka kafka-cluster kafka-secure kafka-stop redis redis-stop postgres postgres-stop services services-stop admin check bench chaos fuzz image clean
