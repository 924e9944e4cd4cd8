-- List the slots in flight, for an operator; nothing is written.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, of either layout
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds (0 where the score is when it lapses)
-- Returns {id, milliseconds until it lapses, id, ...}, the one that lapses first before the others.
-- Again: nothing has changed.
local horizon = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local oldest = string.format('(%.6f', now - horizon)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], oldest, '+inf', 'WITHSCORES')
for i = 2, #found, 2 do
  found[i] = math.ceil((tonumber(found[i]) + horizon - now) * 1000)
end
return found
