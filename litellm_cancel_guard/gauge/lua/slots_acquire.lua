-- Take a slot in LiteLLM's own sorted set, if fewer than the limit are held.
--
-- A member is a slot, its score the moment LiteLLM takes for its beginning:
-- the guard writes now + lease - horizon, so that LiteLLM's prune and the guard's
-- drop it one lease after its last renewal. Slots of workers without the guard
-- (score = when they began) lie in the same set and count.
--
-- One that has lapsed is dropped where it would make this one refused, where the
-- key's life is prolonged, by every renewal and by a count; until then it is
-- counted. So a refusal is exact; where there is room, nothing depends on it.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, {api_key:<hash>}:max_parallel_requests
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds
-- ARGV[2]  lease; seconds
-- ARGV[3]  limit: slots that may be held at once
-- ARGV[4]  id of the slot
-- Returns {1, slots in flight, this one included, slots dropped that had lapsed}; if refused, {0, slots in flight, slots
-- dropped, {ids of the slots in flight}}, none of more than 64.
-- Again with the same id: the slot is renewed, no second one is taken, and the
-- limit is not asked.
if not redis.REDIS_VERSION_NUM and redis.replicate_commands then redis.replicate_commands() end -- Redis < 7
local key, horizon, lease, limit = KEYS[1], ARGV[1] * 1000000, ARGV[2] * 1000, tonumber(ARGV[3])
local time, lapsed = redis.call('TIME'), 0
local now = time[1] * 1000000 + time[2]
local oldest, lapses = now - horizon, math.floor(now + lease * 1000 - horizon)
-- Of whole microseconds: '%.6f' takes Redis twice as long. Of a fraction, '%d' fails in a later Lua (Dragonfly's 5.4).
local fraction = lapses % 1000000
local score = string.format('%d.%06d', (lapses - fraction) / 1000000, fraction)

local held = redis.call('ZCARD', key)
local added = held + 1 <= limit and redis.pcall('ZADD', key, score, ARGV[4])
if type(added) ~= 'number' then
  -- Full, perhaps of slots that lapsed; or Redis' memory is, which lets a script go on that began with what takes none.
  lapsed = redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.6f', oldest / 1000000))
  held = held - lapsed
  if held + 1 > limit then
    local holders = held_by_others(key, held, ARGV[4])
    if holders then return { 0, held, lapsed, holders } end
  end
  added = redis.call('ZADD', key, score, ARGV[4])
end

-- A key that was not there has no expiry. Another may have been given more than this slot needs, for others.
local ttl = held > 0 and redis.call('PTTL', key) or -2
if ttl < lease + 500 then
  -- By more than is needed: of many in a second, two prolong it.
  local keep = lease + 1000
  if ttl < 0 and held + added > 1 then keep = math.max(keep, horizon / 1000) end
  redis.call('PEXPIRE', key, string.format('%d', math.ceil(keep)))
  if held > 0 then
    local late = redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.6f', oldest / 1000000))
    held, lapsed = held - late, lapsed + late
  end
end
return { 1, held + added, lapsed }
