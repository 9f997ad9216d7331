import { useSyncExternalStore } from 'react'
import type { Chat, ConnectionState, RoomId, RoomView } from '../chat/index.ts'

export const useConnectionState = (chat: Chat): ConnectionState =>
  useSyncExternalStore(chat.subscribe, () => chat.state)

export const useRoom = (chat: Chat, room: RoomId): RoomView | undefined =>
  useSyncExternalStore(chat.subscribe, () => chat.room(room))

export const useUser = (chat: Chat): string => useSyncExternalStore(chat.subscribe, () => chat.user)
