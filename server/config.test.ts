import t from 'tap'
import { ConfigError, readConfig } from './config.ts'

t.test('a bad value names key, value and what is allowed', t => {
  t.throws(
    () => readConfig({ PORT: 'x' }),
    new ConfigError(
      'PORT="x" is not allowed: it takes a whole number from 0 to 65535 (TCP port of HTTP and WebSocket; 0: any free one)',
    ),
  )
  t.end()
})
