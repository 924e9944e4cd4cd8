-- Give a slot back to the guard's sorted set.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, {api_key:<hash>}:cancel_guard:slots
-- KEYS[2]  the guard's book on the number, {api_key:<hash>}:cancel_guard:mirror
-- KEYS[3]  LiteLLM's number, {api_key:<hash>}:max_parallel_requests
-- KEYS[4]  LiteLLM's window, {api_key:<hash>}:window
-- KEYS[5]  LiteLLM's requests in it, {api_key:<hash>}:requests
-- KEYS[6]  LiteLLM's tokens in it, {api_key:<hash>}:tokens
-- ARGV[1]  window: what unguarded workers hold is forgotten this long after it rose; seconds
-- ARGV[2]  id of the slot
-- Returns {slots still in flight, those of workers without the guard included, slots dropped that had lapsed}.
-- Again with the same id: nothing is there to remove, no other slot has this
-- id, and the number is written from the slots, not counted down.
redis.call('ZREM', slots, ARGV[2])
local held, lapsed = prune(true)
return { write(held), lapsed }
