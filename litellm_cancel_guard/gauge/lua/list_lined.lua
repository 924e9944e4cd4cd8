-- List the slots in flight, and say who waits for one, for an operator; nothing is written.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, of either layout
-- KEYS[2]  line, as `line.lua` calls it
-- KEYS[3]  ring
-- KEYS[4]  waits
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds (0 where the score is when it lapses)
-- Returns {{id, milliseconds until it lapses, id, ...}, how many wait, of how many classes at most, id of who is next, its
-- class}, the slot that lapses first before the others; without the last two where nobody is.
-- Again: nothing has changed.
local waiting = redis.call('ZCOUNT', KEYS[4], string.format('(%.6f', now), '+inf')
local classes = math.min(waiting, redis.call('ZCOUNT', KEYS[3], 0, '+inf'))
-- Those whose worker is gone are in the line until it is asked for the next time, and nobody waits for them.
for _, turn in ipairs(waiting > 0 and redis.call('ZRANGE', KEYS[3], 0, 63) or {}) do
  local class = string.sub(turn, 1, 16) -- "<class>+" where it may go before the others
  local first = redis.call('ZRANGEBYLEX', KEYS[2], '[' .. class .. ':', '(' .. class .. ';', 'LIMIT', 0, 64)
  for _, entry in ipairs(first) do
    local id = string.sub(entry, 36)
    local lapses = redis.call('ZSCORE', KEYS[4], id)
    if lapses and tonumber(lapses) > now then return { found, waiting, classes, id, class } end
  end
end
return { found, waiting, classes }
