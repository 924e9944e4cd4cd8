-- Hold slots in LiteLLM's own sorted set for another lease.
--
-- A slot that LiteLLM took itself (score = when it began) is held by lease
-- from its first renewal on. One that has lapsed or was removed stays away:
-- its place may be another request's by now.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, {api_key:<hash>}:max_parallel_requests
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds
-- ARGV[2]  lease; seconds
-- ARGV[3]  ids of the slots, from here on
-- Returns {slots dropped that had lapsed, and then the positions, from 1, of the ids that are not held}.
-- Again with the same ids: the lease counts from the later call.
if redis.replicate_commands then redis.replicate_commands() end -- Redis < 7 with lua-replicate-commands no
local key, horizon, lease = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local lapsed = redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.6f', now - horizon))
local score, lost, held = string.format('%.6f', now + lease - horizon), { lapsed }, 0
for i = 3, #ARGV do
  if redis.call('ZSCORE', key, ARGV[i]) then
    redis.call('ZADD', key, 'XX', score, ARGV[i])
    held = held + 1
  else
    lost[#lost + 1] = i - 2
  end
end

-- The others may live for as long as the key was given them: longer than we do.
local ttl, keep = redis.call('PTTL', key), math.ceil((lease + 1) * 1000)
if ttl == -1 and redis.call('ZCARD', key) > held then
  keep = math.max(keep, math.ceil(horizon * 1000))
end
if ttl ~= -2 and ttl < keep then
  redis.call('PEXPIRE', key, keep)
end
return lost
