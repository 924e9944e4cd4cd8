-- Give a slot back, or a place in line, and hand what is free to those who are next.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS     the layout's; then places, line, ring and waits of {api_key:<hash>}:cancel_guard
-- ARGV[1]  the layout's window or horizon; seconds
-- ARGV[2]  id of the slot
-- ARGV[3]  lease of a slot that is handed, until it is claimed; seconds
-- ARGV[4]  channel of the workers, to which the name of one is added
-- Returns {slots in flight, those that were handed included, slots dropped that had lapsed}.
-- Again with the same id: nothing is there to remove, and no other slot or waiter has this id.
local id = ARGV[2]
begin(id)
if redis.call('ZCARD', waits) > 0 then
  drop_lapsed()
  leave(id)
  hand(tonumber(ARGV[3]), ARGV[4], '')
end
return { finish(), lapsed }
