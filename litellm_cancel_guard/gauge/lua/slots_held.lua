-- What every script of the line starts with in the slots layout: how slots are counted, taken and given back in
-- LiteLLM's own sorted set. Not a script of its own.
--
-- A script calls begin() before anything else, which drops the slots that have lapsed, and finish() at its end. A slot
-- that is handed lapses as any other does, one claim after: nobody has to take it back from a waiter who is gone.
if redis.replicate_commands then redis.replicate_commands() end -- Redis < 7 with lua-replicate-commands no
local slots, horizon = KEYS[1], tonumber(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local held, lapsed, longest = 0, 0, 0

local function begin(given_back)
  if given_back then redis.call('ZREM', slots, given_back) end
  lapsed = redis.call('ZREMRANGEBYSCORE', slots, '-inf', string.format('%.6f', now - horizon))
  held = redis.call('ZCARD', slots)
end

local function room(limit) return held + 1 <= limit end

local function take(id, lease)
  held = held + redis.call('ZADD', slots, string.format('%.6f', now + lease - horizon), id)
  longest = math.max(longest, lease)
end

-- The others may live for as long as the key was given them: longer than we do.
local function finish()
  if longest > 0 then
    local ttl, keep = redis.call('PTTL', slots), math.ceil((longest + 1) * 1000)
    if ttl < 0 and held > 1 then keep = math.max(keep, math.ceil(horizon * 1000)) end
    if ttl < keep then redis.call('PEXPIRE', slots, keep) end
  end
  return held
end
