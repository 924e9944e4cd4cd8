-- Give a slot back to LiteLLM's own sorted set.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, {api_key:<hash>}:max_parallel_requests
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds
-- ARGV[2]  id of the slot
-- Returns {slots still in flight, slots dropped that had lapsed}.
-- Again with the same id: nothing is there to remove, and no other slot has this id.
if redis.replicate_commands then redis.replicate_commands() end -- Redis < 7 with lua-replicate-commands no
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

redis.call('ZREM', KEYS[1], ARGV[2])
local lapsed = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - tonumber(ARGV[1])))
return { redis.call('ZCARD', KEYS[1]), lapsed }
