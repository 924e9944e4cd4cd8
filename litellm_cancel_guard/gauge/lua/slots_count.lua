-- Count the slots in flight in LiteLLM's own sorted set.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, {api_key:<hash>}:max_parallel_requests
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds
-- Returns the slots in flight.
-- Again: only slots that have lapsed are dropped, by whoever comes first.
if redis.replicate_commands then redis.replicate_commands() end -- Redis < 7 with lua-replicate-commands no
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - tonumber(ARGV[1])))
return redis.call('ZCARD', KEYS[1])
