import { userChannel, type Signals, type UserEvent } from '../ports/signals.ts'

/** What somebody is to be told once the transaction that decided it is committed. */
export interface Telling {
  readonly user: string
  readonly event: UserEvent
}

/** Tells them, on whichever nodes they are. */
export const tell = (signals: Signals, telling: Iterable<Telling>): void => {
  for (const { user, event } of telling) signals.publish(userChannel(user), event)
}
