import { transaction, type Db } from '../../database/database.ts'
import { relate } from '../relations.ts'

/** Makes two people friends. */
export const befriend = async (db: Db, one: string, other: string): Promise<void> => {
  await transaction(db, async tx => {
    await relate(tx, one, other, 'request')
    await relate(tx, other, one, 'accept')
  })
}
