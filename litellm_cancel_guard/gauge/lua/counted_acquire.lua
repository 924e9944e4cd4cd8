-- Take a slot in the guard's sorted set, if fewer than the limit are in flight,
-- those of workers without the guard included.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, {api_key:<hash>}:cancel_guard:slots
-- KEYS[2]  the guard's book on the number, {api_key:<hash>}:cancel_guard:mirror
-- KEYS[3]  LiteLLM's number, {api_key:<hash>}:max_parallel_requests
-- KEYS[4]  LiteLLM's window, {api_key:<hash>}:window
-- KEYS[5]  LiteLLM's requests in it, {api_key:<hash>}:requests
-- KEYS[6]  LiteLLM's tokens in it, {api_key:<hash>}:tokens
-- ARGV[1]  window: what unguarded workers hold is forgotten this long after it rose; seconds
-- ARGV[2]  lease; seconds
-- ARGV[3]  limit: slots that may be held at once
-- ARGV[4]  id of the slot
-- Returns {1, slots in flight, this one included, slots dropped that had lapsed}; if refused, {0, slots in flight, slots
-- dropped, {ids of the slots in flight}}, none of more than 64.
-- Again with the same id: the slot is renewed, no second one is taken, and the
-- limit is not asked.
local lease, limit, slot = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local held, lapsed = prune()
if held + unguarded + 1 > limit then
  local holders = held_by_others(slots, held, slot)
  if holders then return { 0, write(held), dropped + lapsed, holders } end
end
held = held + redis.call('ZADD', slots, string.format('%.6f', now + lease), slot)
prolong(lease)
return { 1, write(held), dropped + lapsed }
