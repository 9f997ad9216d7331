/** What nobody is to read who should not: each with the name by which a test says of it. */
export class Secrets {
  readonly #known = new Map<string, string>()

  /** Keeps one, and answers it. Without a value it makes one that is found whatever is printed of it. */
  add(name: string, value = `secret-${name}-${crypto.randomUUID()}`): string {
    this.#known.set(name, value)
    return value
  }

  has(name: string): boolean {
    return this.#known.has(name)
  }

  /** Of a JWT, what makes it one: its claims and its signature. */
  addToken(name: string, token: string): string {
    for (const [i, part] of token.split('.').slice(1).entries()) this.add(`${name} ${i}`, part)
    return token
  }

  /** The lines that say something of a secret, with which. */
  leaks(lines: readonly string[]): string[] {
    const known = [...this.#known]
    return lines.flatMap(line =>
      known.filter(([, value]) => line.includes(value)).map(([name]) => `${name}: ${line.slice(0, 500)}`),
    )
  }
}
