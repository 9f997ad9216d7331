import t from 'tap'
import { signalsContract } from '../../ports/signals.contract.ts'
import { memorySignals } from './signals.ts'

signalsContract(t, async () => {
  const signals = memorySignals()
  return [signals, signals]
})
