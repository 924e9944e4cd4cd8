-- Give a slot back to LiteLLM's own sorted set.
--
-- What has lapsed is not looked for: it is in nobody's way until an acquire finds no room, and that one drops it.
--
-- Clock: none; the key has an expiry from whoever took a slot.
-- KEYS[1]  sorted set of slots, {api_key:<hash>}:max_parallel_requests
-- ARGV[2]  id of the slot
-- Returns {slots still in flight, those that have lapsed and were not dropped yet included, 0}.
-- Again with the same id: nothing is there to remove, and no other slot has this id.
redis.call('ZREM', KEYS[1], ARGV[2])
return { redis.call('ZCARD', KEYS[1]), 0 }
