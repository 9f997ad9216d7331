import { signIn, type Account } from './api.ts'
import type { Endpoint } from './client.ts'
import { Latencies, now, Watch, type Times } from './clock.ts'

export interface SigningInPlan {
  readonly endpoint: Endpoint
  readonly pid: number
  /** Each of them once at most: more tries of one name are slowed down. */
  readonly accounts: readonly Account[]
  readonly atOnce: number
  readonly seconds: number
}

export interface SigningInResult {
  readonly perSecond: number
  readonly latency: Times
  readonly busy: number
  readonly load: number
}

/** People who sign in with their passwords over HTTP, as many a second as there can be. */
export const signingIn = async (plan: SigningInPlan): Promise<SigningInResult> => {
  const { endpoint, accounts, atOnce, pid } = plan
  let next = 0
  const during = async (seconds: number): Promise<Latencies> => {
    const latencies = new Latencies()
    const until = performance.now() + seconds * 1000
    const visitor = async (): Promise<void> => {
      while (performance.now() < until) {
        const begun = now()
        const account = accounts[next++]
        if (!account) throw new Error('there are too few accounts')
        await signIn(endpoint, account)
        latencies.add(now() - begun)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, visitor))
    return latencies
  }
  await during(1)
  const watch = new Watch(pid)
  const latency = (await during(plan.seconds)).times()
  const { seconds, serverCpu, load } = watch
  return { perSecond: latency.count / seconds, latency, busy: serverCpu / seconds, load }
}
