-- Which slots are in flight. Not a script of its own: what every list for an operator starts with; nothing is written.
local horizon = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local oldest = string.format('(%.6f', now - horizon)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], oldest, '+inf', 'WITHSCORES')
for i = 2, #found, 2 do
  found[i] = math.ceil((tonumber(found[i]) + horizon - now) * 1000)
end
