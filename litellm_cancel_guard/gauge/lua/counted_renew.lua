-- Hold slots in the guard's sorted set for another lease. One that has lapsed or
-- was removed stays away: its place may be another request's by now.
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
-- ARGV[3]  ids of the slots, from here on
-- Returns {slots dropped that had lapsed, and then the positions, from 1, of the ids that are not held}.
-- Again with the same ids: the lease counts from the later call.
local lease = tonumber(ARGV[2])
local held, lapsed = prune()
local lapses, lost = string.format('%.6f', now + lease), { lapsed }
for i = 3, #ARGV do
  -- Nothing changes where it is not held, or where it was renewed in this very microsecond.
  if redis.call('ZADD', slots, 'XX', 'CH', lapses, ARGV[i]) == 0 and not redis.call('ZSCORE', slots, ARGV[i]) then
    lost[#lost + 1] = i - 2
  end
end
if held > 0 then
  prolong(lease)
end
write(held)
return lost
