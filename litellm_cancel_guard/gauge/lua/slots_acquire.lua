-- Take a slot in LiteLLM's own sorted set, if fewer than the limit are held.
--
-- A member is a slot, its score the moment LiteLLM takes for its beginning:
-- the guard writes now + lease - horizon, so that LiteLLM's prune and this one
-- drop it one lease after its last renewal. Slots of workers without the guard
-- (score = when they began) lie in the same set and count.
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
if redis.replicate_commands then redis.replicate_commands() end -- Redis < 7 with lua-replicate-commands no
local key, slot = KEYS[1], ARGV[4]
local horizon, lease, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local lapsed = redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.6f', now - horizon))
local held = redis.call('ZCARD', key)
if held + 1 > limit then
  local holders = held_by_others(key, held, slot)
  if holders then return { 0, held, lapsed, holders } end
end
held = held + redis.call('ZADD', key, string.format('%.6f', now + lease - horizon), slot)

-- The others may live for as long as the key was given them: longer than we do.
local ttl, keep = redis.call('PTTL', key), math.ceil((lease + 1) * 1000)
if ttl < 0 and held > 1 then
  keep = math.max(keep, math.ceil(horizon * 1000))
end
if ttl < keep then
  redis.call('PEXPIRE', key, keep)
end
return { 1, held, lapsed }
