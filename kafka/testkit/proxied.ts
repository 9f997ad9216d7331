import { join } from 'node:path'
import type { Test } from 'tap'
import { startKafka } from '../../scripts/services/kafka.ts'
import { freePort } from '../../scripts/services/process.ts'
import { scratch } from '../../server/testkit/node.ts'
import { startProxy } from './proxy.ts'
import type { Proxy } from './proxy.ts'

export interface ProxiedKafka {
  readonly brokers: string
  /** The same broker: whoever begins here stays behind the proxy. */
  readonly proxied: string
  readonly proxy: Proxy
}

/** A broker of the test's own that can be reached in two ways, so that one of several nodes can be cut off from it. */
export const proxiedKafka = async (t: Test): Promise<ProxiedKafka> => {
  const proxy = await startProxy()
  t.teardown(() => proxy.close())
  const port = await freePort()
  const kafka = await startKafka({
    brokers: 1,
    folder: join(await scratch(t), 'kafka'),
    settings: place => ({
      'listeners': [
        `PLAINTEXT://127.0.0.1:${place.port}`,
        `PROXIED://127.0.0.1:${port}`,
        `CONTROLLER://127.0.0.1:${place.controllerPort}`,
      ].join(','),
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${place.port},PROXIED://127.0.0.1:${proxy.port}`,
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT',
    }),
  })
  t.teardown(() => kafka.stop())
  proxy.target = port
  return { brokers: kafka.brokers, proxied: `127.0.0.1:${proxy.port}`, proxy }
}
