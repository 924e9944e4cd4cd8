-- Hold slots of many gauges for another lease, in the guard's sorted sets. Not a script of its own: the text of the one
-- for a single gauge goes into the function below. It runs where not all of a gauge's slots are held, where some have
-- lapsed, or where anybody but guarded workers may have touched its number: see where the acquire says by what.
--
-- Clock: Redis' TIME, in seconds; one moment for all.
-- KEYS     of the first gauge, as the script for one has them; then of the next
-- ARGV[1]  window: what unguarded workers hold is forgotten this long after it rose; seconds
-- ARGV[2]  lease; seconds
-- ARGV[3]  number of slots of the first gauge, followed by their ids; then of the next
-- Returns {number of a gauge, what the script for one returned for it or its error, the next number, ...}. Gauges for
-- which it returned {0} are left out: of ten thousand there is mostly nothing to say.
-- Again with the same ids: the lease counts from the later call.
local function one(KEYS, ARGV)
@BODY@
end

if not redis.REDIS_VERSION_NUM and redis.replicate_commands then redis.replicate_commands() end -- Redis < 7
local window, lease, time, WIDTH = ARGV[1], ARGV[2], redis.call('TIME'), 6
local now = time[1] + time[2] / 1000000
local oldest, score = string.format('%.6f', now), string.format('%.6f', now + lease)
local milliseconds = math.floor(now * 1000)
local lapses = milliseconds + math.ceil(lease * 1000)
local lasts = lapses + 1000
-- Not '%d', a C long: where that has 32 bits, the time is one in the past, and Redis drops all slots at once.
local lasts_until = string.format('%.0f', lasts)
local unpack = table.unpack or unpack -- no global in a later Lua (Dragonfly's 5.4)

-- Have the keys of a gauge outlive its slots, and the book say so.
local function prolong(slots, book, number, held, rose, expires)
  local until_when = math.max(tonumber(expires), lasts)
  local number_lasts = until_when == lasts and lasts_until or string.format('%.0f', until_when)
  redis.call('PEXPIREAT', slots, lasts_until)
  redis.call('PEXPIREAT', number, number_lasts)
  local left = until_when - milliseconds + math.ceil(window * 1000)
  local noted = string.format('%s 0 %s %s %s', held, rose, number_lasts, lasts_until)
  redis.call('SET', book, noted, 'PX', string.format('%d', left))
end

-- Whether all slots with these ids are held, are renewed, and what is said of their gauge is true; and what was dropped.
local function all_held(base, first, last)
  local slots, book, number = KEYS[base + 1], KEYS[base + 2], KEYS[base + 3]
  local found = redis.call('MGET', number, book, KEYS[base + 4])
  local held, rose, expires, slots_expire = string.match(found[2] or '', '^(%d+) 0 (%d+%.%d+) (%d+) (%d+)$')
  if not held or held ~= found[1] then return false, 0 end
  if found[3] and math.abs(redis.call('PTTL', number) + milliseconds - expires) > 50 then return false, 0 end
  local lapsed = redis.pcall('ZREMRANGEBYSCORE', slots, '-inf', oldest)
  if lapsed ~= 0 then return false, lapsed end
  local renewed = {}
  for i = first, last do
    renewed[#renewed + 1] = score
    renewed[#renewed + 1] = ARGV[i]
  end
  if redis.call('ZADD', slots, 'XX', 'CH', unpack(renewed)) ~= last - first + 1 then return false, 0 end
  if tonumber(slots_expire) < lapses + 500 then prolong(slots, book, number, held, rose, expires) end
  return true
end

local answers, at = {}, 3
for gauge = 1, #KEYS / WIDTH do
  local base, last = (gauge - 1) * WIDTH, at + ARGV[at]
  local all, lapsed = all_held(base, at + 1, last)
  if not all then
    local ran, answer =
      pcall(one, { unpack(KEYS, base + 1, base + WIDTH) }, { window, lease, unpack(ARGV, at + 1, last) })
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
