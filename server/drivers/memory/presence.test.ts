import { presenceContract } from '../../ports/presence.contract.ts'
import t from 'tap'
import { memoryPresence } from './presence.ts'

presenceContract(t, async ttl => {
  const presence = memoryPresence({ ttl })
  return [presence, presence]
})
