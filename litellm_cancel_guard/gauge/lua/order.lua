-- Order a worker to end the request of a slot; the worker reads it with its next beat and looks for that slot.
--
-- Clock: none; Redis counts down the key.
-- KEYS[1]  hash of the worker's orders: id of a slot, and who has asked
-- ARGV[1]  lease: how long the order stands; seconds
-- ARGV[2]  id of the slot
-- ARGV[3]  who asks
-- Returns 1.
-- Again with the same id: it stands for longer. An order for a slot that is gone is nobody's.
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[1]) * 1000))
return 1
