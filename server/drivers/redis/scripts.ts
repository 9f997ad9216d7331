/*
  What happens in Redis, each script in one step.

  hoofbeat:since:<life>   since when this Redis has forgotten nothing, epoch ms
  hoofbeat:known:<room>   for which `since` nothing of this room is forgotten: looked back, or the room is newer
  hoofbeat:claim:<id>     `<at> <token>`, and once it is settled `<at> <token> <offset>`; ends by itself after the window

  Everything that needs a time takes Redis's own.
*/

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`
const READ = `
local function read(key)
  local value = redis.call('GET', key)
  if value then return value, string.match(value, '^(%d+) (%S+) ?(%d*)$') end
end
`

/** KEYS: since. Answers since and now. It always writes: a Redis that takes no writes is of no use. */
export const BEGIN = `${NOW}
local since = tonumber(redis.call('GET', KEYS[1])) or now
redis.call('SET', KEYS[1], string.format('%.0f', since))
return {since, now}
`

/**
 * KEYS: since, known, claims. ARGV: token, window, how long it counts as young, lost tokens.
 * Answers `young`, since and now; or `held`, since, now, at and token; or `taken`, since, now and each claim's offset, empty
 * for those that were taken.
 */
export const CLAIM = `${NOW}${READ}
local since = tonumber(redis.call('GET', KEYS[1]))
if not since then
  since = now
  redis.call('SET', KEYS[1], string.format('%.0f', since))
end
if now - since < tonumber(ARGV[3]) and tonumber(redis.call('GET', KEYS[2]) or 0) ~= since then
  return {'young', since, now}
end
local lost = {}
for i = 4, #ARGV do lost[ARGV[i]] = true end
local answer, free = {'taken', since, now}, {}
for i = 3, #KEYS do
  local value, at, token, offset = read(KEYS[i])
  if not value or (offset == '' and lost[token]) then
    free[#free + 1] = KEYS[i]
    offset = ''
  elseif offset == '' then
    return {'held', since, now, at, token}
  end
  answer[#answer + 1] = offset
end
local mine = string.format('%.0f', now) .. ' ' .. ARGV[1]
for _, key in ipairs(free) do redis.call('SET', key, mine, 'PX', ARGV[2]) end
return answer
`

/** KEYS: claims. ARGV: the token that holds them, then for each its offset, or nothing to give it up. */
export const SETTLE = `${READ}
for i, key in ipairs(KEYS) do
  local value, _, token, offset = read(key)
  if value and token == ARGV[1] and offset == '' then
    if ARGV[i + 1] == '' then redis.call('DEL', key)
    else redis.call('SET', key, value .. ' ' .. ARGV[i + 1], 'KEEPTTL') end
  end
end
`

/** KEYS: claims. ARGV: window, then for each its offset and time. */
export const REMEMBER = `${NOW}
for i, key in ipairs(KEYS) do
  local offset, at = ARGV[2 * i], ARGV[2 * i + 1]
  local left = at + ARGV[1] - now
  if left > 0 then redis.call('SET', key, at .. ' - ' .. offset, 'NX', 'PX', string.format('%.0f', left)) end
end
`

/** KEYS: since, known. ARGV: what since must be, how long that matters. */
export const KNOW = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2]) end
`
