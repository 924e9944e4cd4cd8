-- Hold slots of many gauges for another lease, in LiteLLM's own sorted sets. Not a script of its own: the text of the one
-- for a single gauge goes into the function below, and runs where not all of its slots are held, or some have lapsed.
--
-- Clock: Redis' TIME, in seconds; one moment for all.
-- KEYS     sorted sets of slots, {api_key:<hash>}:max_parallel_requests, one of each gauge
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds
-- ARGV[2]  lease; seconds
-- ARGV[3]  number of slots of the first gauge, followed by their ids; then of the next
-- Returns {number of a gauge, what the script for one returned for it or its error, the next number, ...}. Gauges for
-- which it returned {0} are left out: of ten thousand there is mostly nothing to say.
-- Again with the same ids: the lease counts from the later call.
local function one(KEYS, ARGV)
@BODY@
end

if not redis.REDIS_VERSION_NUM and redis.replicate_commands then redis.replicate_commands() end -- Redis < 7
local horizon, lease, time = ARGV[1], ARGV[2], redis.call('TIME')
local now = time[1] + time[2] / 1000000
local oldest, score = string.format('%.6f', now - horizon), string.format('%.6f', now + lease - horizon)
local needed = lease * 1000 + 500
local keep = string.format('%d', math.ceil(lease * 1000 + 1000))
local unpack = table.unpack or unpack -- no global in a later Lua (Dragonfly's 5.4)

-- Whether all slots with these ids are held, are renewed, and their key outlives them.
local function all_held(key, first, last)
  local held
  if first == last then
    held = redis.call('ZADD', key, 'XX', 'CH', score, ARGV[first])
  else
    local renewed = {}
    for i = first, last do
      renewed[#renewed + 1] = score
      renewed[#renewed + 1] = ARGV[i]
    end
    held = redis.call('ZADD', key, 'XX', 'CH', unpack(renewed))
  end
  if held ~= last - first + 1 then return false end
  local ttl = redis.call('PTTL', key)
  if ttl >= 0 and ttl < needed then redis.call('PEXPIRE', key, keep) end
  return ttl >= 0
end

local answers, at = {}, 3
for gauge = 1, #KEYS do
  local key, last = KEYS[gauge], at + ARGV[at]
  local lapsed = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', oldest)
  if lapsed ~= 0 or not all_held(key, at + 1, last) then
    local ran, answer = pcall(one, { key }, { horizon, lease, unpack(ARGV, at + 1, last) })
    if not ran then
      answer = { err = type(answer) == 'table' and answer.err or tostring(answer) }
    else
      answer[1] = answer[1] + lapsed
    end
    if not ran or #answer ~= 1 or answer[1] ~= 0 then
      answers[#answers + 1] = gauge
      answers[#answers + 1] = answer
    end
  end
  at = last + 1
end
return answers
