-- What every script of the line starts with in the counted layout, behind the mirror: how slots are counted, taken and
-- given back there. Not a script of its own.
--
-- A script calls begin() before anything else, which drops the slots that have lapsed, and finish() at its end.
local held, lapsed = 0, 0

local function begin(given_back)
  if given_back then redis.call('ZREM', slots, given_back) end
  held, lapsed = prune(given_back)
end

local function room(limit) return held + unguarded + 1 <= limit end

local function take(id, lease)
  held = held + redis.call('ZADD', slots, string.format('%.6f', now + lease), id)
  prolong(lease)
end

local function finish() return write(held) end
