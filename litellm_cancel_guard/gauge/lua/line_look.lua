-- Keep places in line, and hand over what came free without a release: what lapsed, and what workers without the line
-- gave back.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS     the layout's; then places, line, ring and waits of {api_key:<hash>}:cancel_guard
-- ARGV[1]  the layout's window or horizon; seconds
-- ARGV[2]  lease of a slot that is handed, until it is claimed; seconds
-- ARGV[3]  channel of the workers, to which the name of one is added
-- ARGV[4]  lease of a place in line; seconds
-- ARGV[5]  ids of waiters, from here on
-- Returns {slots dropped that had lapsed, and then the positions, from 1, of the ids that do not wait: they were handed a
-- slot, or lost their place}.
-- Again with the same ids: the lease of a place counts from the later call.
begin()
local keeps = string.format('%.6f', now + tonumber(ARGV[4]))
for i = 5, #ARGV do
  redis.call('ZADD', waits, 'XX', keeps, ARGV[i])
end
drop_lapsed()
hand(tonumber(ARGV[2]), ARGV[3], '')
local told = { lapsed }
for i = 5, #ARGV do
  if not waits_in_line(ARGV[i]) then told[#told + 1] = i - 4 end
end
keep_keys()
finish()
return told
