/*
  Who is there, in one step each time. The number in the keys is that of this layout: nodes of another one do not meddle.

  hoofbeat:presence:1:life     which life of this Redis it is: another one after everything was lost
  hoofbeat:presence:1:beats    connections that are touched, by when they count as gone, epoch ms
  hoofbeat:presence:1:leaving  connections that have gone, by when that counts, epoch ms
  hoofbeat:presence:1:members  all connections, in order
  hoofbeat:presence:1:clients  what each of them is, JSON
  hoofbeat:presence:1:at       the last number that was given to what happens

  A connection is `<user> NUL <connection>`, so that those of a user stand together.
*/
export const PRESENCE_KEYS = ['life', 'beats', 'leaving', 'members', 'clients', 'at'].map(
  name => `hoofbeat:presence:1:${name}`,
)

/**
 * KEYS: as above. ARGV: the act, the name of a life in case one begins, and
 *
 * touch: the time to live, then for each user, connection, in which life it was touched before (or nothing), what it is
 * off: after how many ms, then for each user, connection
 * sweep: how many at most, whether those that nobody has touched are gone too (1)
 * of: users
 * list: after which connection (or nothing), how many at most
 *
 * Answers the life, the number, and then for `of` 1 or 0 for each; for `list` what each connection is; otherwise
 * user and 1 or 0, for each that came or went. Of who came with what was lost before nothing is said.
 */
export const PRESENCE = `
local LIFE, BEATS, LEAVING, MEMBERS, CLIENTS, AT = unpack(KEYS)
local act = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local life = redis.call('GET', LIFE)
if not life then
  life = ARGV[2]
  redis.call('SET', LIFE, life)
end
local at = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('GET', AT)) or 0) + 1)
redis.call('SET', AT, string.format('%.0f', at))
local answer = {life, string.format('%.0f', at)}

local before, users, quiet = {}, {}, {}
local function online(user)
  return redis.call('ZLEXCOUNT', MEMBERS, '[' .. user .. '\\0', '(' .. user .. '\\1') > 0
end
local function look(user)
  if before[user] ~= nil then return end
  before[user] = online(user)
  users[#users + 1] = user
end
local function drop(user, member)
  look(user)
  redis.call('ZREM', BEATS, member)
  redis.call('ZREM', LEAVING, member)
  redis.call('ZREM', MEMBERS, member)
  redis.call('HDEL', CLIENTS, member)
end

if act == 'touch' then
  local ends = now + ARGV[3]
  for i = 4, #ARGV, 4 do
    local user, told = ARGV[i], ARGV[i + 2]
    local member = user .. '\\0' .. ARGV[i + 1]
    if redis.call('ZADD', BEATS, ends, member) == 1 then
      look(user)
      redis.call('ZREM', LEAVING, member)
      redis.call('ZADD', MEMBERS, 0, member)
      if told ~= '' and told ~= life then quiet[user] = true end
    end
    redis.call('HSET', CLIENTS, member, ARGV[i + 3])
  end
elseif act == 'off' then
  local after = tonumber(ARGV[3])
  for i = 4, #ARGV, 2 do
    local member = ARGV[i] .. '\\0' .. ARGV[i + 1]
    if after == 0 then
      drop(ARGV[i], member)
    elseif redis.call('ZREM', BEATS, member) == 1 then
      redis.call('ZADD', LEAVING, now + after, member)
    end
  end
elseif act == 'sweep' then
  local function pop(key)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, ARGV[3])) do
      drop(string.sub(member, 1, string.find(member, '\\0', 1, true) - 1), member)
    end
  end
  pop(LEAVING)
  if ARGV[4] == '1' then pop(BEATS) end
elseif act == 'of' then
  for i = 3, #ARGV do answer[#answer + 1] = online(ARGV[i]) and 1 or 0 end
elseif act == 'list' then
  local from = ARGV[3] == '' and '-' or '(' .. ARGV[3]
  for _, member in ipairs(redis.call('ZRANGEBYLEX', MEMBERS, from, '+', 'LIMIT', 0, ARGV[4])) do
    answer[#answer + 1] = redis.call('HGET', CLIENTS, member)
  end
end

for _, user in ipairs(users) do
  local there = online(user)
  if there ~= before[user] and not quiet[user] then
    answer[#answer + 1] = user
    answer[#answer + 1] = there and 1 or 0
  end
end
return answer
`
