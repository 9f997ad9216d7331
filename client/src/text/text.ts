import { en, type Table } from './en.ts'
import { ko } from './ko.ts'

/** The table for a reader of `languages` (best first, as BCP 47 tags): the first that we speak, otherwise English. */
export const tableFor = (languages: readonly string[]): Table => {
  for (const language of languages) {
    if (/^ko\b/i.test(language)) return ko
    if (/^en\b/i.test(language)) return en
  }
  return en
}

export const text: Table = tableFor(navigator.languages)

/** What to tell the reader of an error code; `otherwise` for those that tell a reader nothing. */
export const explain = (code: string, otherwise = text['error.other']): string => {
  const key = `error.${code}`
  return isErrorKey(key) ? text[key] : otherwise
}

type ErrorKey = Extract<keyof Table, `error.${string}`>
const isErrorKey = (key: string): key is ErrorKey => Object.hasOwn(text, key)

/** How the reader's own country writes times and numbers, in the language of the page. */
const locale = navigator.languages.find(language => language.toLowerCase().startsWith(text.lang)) ?? text.lang
const clock = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' })
const thisYear = new Intl.DateTimeFormat(locale, { weekday: 'long', month: 'long', day: 'numeric' })
const otherYear = new Intl.DateTimeFormat(locale, { dateStyle: 'full' })
const full = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' })
const brief = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' })
const briefest = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' })
const number = new Intl.NumberFormat(locale)

export const formatClock = (time: number): string => clock.format(time)
export const formatMoment = (time: number): string => full.format(time)
/** A moment where it is read beside others: today's by the clock, of other years no more than the day. */
export const formatBrief = (time: number, now = Date.now()): string => {
  const [day, today] = [new Date(time), new Date(now)]
  if (day.toDateString() === today.toDateString()) return clock.format(time)
  return (day.getFullYear() === today.getFullYear() ? brief : briefest).format(time)
}
export const formatNumber = (value: number): string => number.format(value)

/** A day as a divider names it. */
export const formatDay = (time: number, now: number): string => {
  const day = new Date(time)
  const today = new Date(now)
  if (day.toDateString() === today.toDateString()) return text.today
  today.setDate(today.getDate() - 1)
  if (day.toDateString() === today.toDateString()) return text.yesterday
  return (day.getFullYear() === new Date(now).getFullYear() ? thisYear : otherYear).format(day)
}
