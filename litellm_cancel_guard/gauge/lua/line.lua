-- What every script of the line goes on with, in either layout: who waits for a slot of this gauge, and who is next.
-- Not a script of its own.
--
-- The data, all under the gauge's hash tag; at rest there is none of it:
--   places  hash: a waiter's id -> "<class>:<place>", class 16 and place 17 digits; and, of names no id has, `limit`, the
--           cap as it was last asked for, and `last`, the place that was given last. Places only grow: they are
--           microseconds, and where Redis' clock was put back, one more than the last.
--   line    sorted set, all of score 0: "<class>:<place>:<id>", so that the first of a class is found by its name
--   ring    sorted set: class -> its turn; the class with the lowest is next, and then behind all others. One that comes
--           anew, or again, begins behind them: nobody gains by leaving, and a class waits for one round at most
--   waits   sorted set: id -> when its place lapses (Redis' TIME, seconds), unless its worker looks after it
-- A class of several turns in a round, as its last letter says, has all but one of them before all others: while it may,
-- and somebody of it waits, "<class>+" is in the ring, below all classes. How many it has had are 256ths of its own turn,
-- up to which it stays in the ring, empty or not: who asks for one after the other would else always be before the others.
-- Once as many classes wait as are kept apart, those that come anew are one, `f` sixteen times: a client that makes up a
-- name for each request has the others wait for so many turns, and no more.
-- What Redis does for one waiter more grows with the logarithm of how many there are.
--
-- After each script of the line either no slot is free or nobody waits. A slot comes free without one, too: it lapses, or
-- a worker without the line gives it back; then a look by a worker that has waiters hands it over.
-- Who is handed a slot holds it for one claim. Not claimed, it lapses; and who comes late has his old place again.
local places, line, ring, waits = KEYS[#KEYS - 3], KEYS[#KEYS - 2], KEYS[#KEYS - 1], KEYS[#KEYS]
local MOST_AT_ONCE, MOST_PASSED = 64, 512

local function first_of(class)
  return redis.call('ZRANGEBYLEX', line, '[' .. class .. ':', '(' .. class .. ';', 'LIMIT', 0, 1)[1]
end

local function last_turn()
  return math.floor(tonumber(redis.call('ZRANGE', ring, -1, -1, 'WITHSCORES')[2] or 0))
end

-- One, but for a last letter behind `f`: `g` says two. See `class_of` in lease.py.
local function turns_of(class)
  return math.max(1, (string.byte(class, 16) or 0) - 101)
end

-- Of a class whose own turn is `turn`, and of whom somebody waits: may it have one before?
local function go_ahead(class, turn)
  if turn % 1 * 256 < turns_of(class) - 1 then
    redis.call('ZADD', ring, math.floor(turn) - 2 ^ 40, class .. '+')
  end
end

local function leave(id)
  redis.call('ZREM', waits, id)
  local at = redis.call('HGET', places, id)
  if not at then return end
  redis.call('HDEL', places, id)
  redis.call('ZREM', line, at .. ':' .. id)
  local class = string.sub(at, 1, 16)
  if not first_of(class) then redis.call('ZREM', ring, turns_of(class) > 1 and class .. '+' or class) end
end

-- Drop those whose worker looks after them no more; what is here is read before anything of the line is written.
local function drop_lapsed()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', waits, '-inf', string.format('%.6f', now), 'LIMIT', 0, MOST_AT_ONCE)) do
    leave(id)
  end
end

-- They outlive their waiters, who are looked after more often, and are gone a minute after the last.
local function keep_keys()
  for _, key in ipairs({ places, line, ring, waits }) do redis.call('PEXPIRE', key, 60000) end
end

-- Wait from now on, or go on waiting, at `place` or, where that is empty, behind all others of the class.
local function park(id, class, place, keep)
  if place == '' then
    local last = tonumber(redis.call('HGET', places, 'last') or 0)
    place = string.format('%017.0f', math.max(math.floor(now * 1000000), last + 1))
    redis.call('HSET', places, 'last', place)
  end
  redis.call('HSET', places, id, class .. ':' .. place)
  redis.call('ZADD', line, 0, class .. ':' .. place .. ':' .. id)
  redis.call('ZADD', waits, string.format('%.6f', now + keep), id)
  local turn = redis.call('ZSCORE', ring, class)
  if not turn then
    turn = last_turn() + 1
    redis.call('ZADD', ring, turn, class)
  end
  go_ahead(class, tonumber(turn))
  return place
end

-- The class has had its turn, or, as "<class>+", one before it.
local function pass_on(turn, class)
  local own
  if turn == class then
    own = last_turn() + 1
  else
    redis.call('ZREM', ring, turn)
    own = tonumber(redis.call('ZSCORE', ring, class) or last_turn() + 1) + 1 / 256
  end
  redis.call('ZADD', ring, own, class)
  go_ahead(class, own)
end

-- The next in line leaves it: his id, nil where nobody waits, and whether his worker looks after him no more.
local function next_waiter()
  while true do
    local turn = redis.call('ZRANGE', ring, 0, 0)[1]
    if not turn then return nil end
    local class = string.sub(turn, 1, 16)
    local first = first_of(class)
    if not first then
      redis.call('ZREM', ring, turn)
    else
      pass_on(turn, class)
      local id = string.sub(first, 36)
      redis.call('ZREM', line, first) -- also where the hash knows nothing of it
      local lapses = tonumber(redis.call('ZSCORE', waits, id) or now + 1)
      leave(id)
      return id, lapses <= now
    end
  end
end

-- Whether `id` has all that makes it come up: short of memory, Redis may have dropped any of the four keys.
local function waits_in_line(id)
  local at = redis.call('HGET', places, id)
  return at
    and redis.call('ZSCORE', line, at .. ':' .. id)
    and redis.call('ZSCORE', ring, string.sub(at, 1, 16))
    and redis.call('ZSCORE', waits, id)
end

-- Hand what is free to those who are next, and tell their workers, each on a channel of its own; not `own`, who asks.
local function hand(claim, channel, own)
  local limit, handed, passed = tonumber(redis.call('HGET', places, 'limit') or 0), 0, 0
  while handed < MOST_AT_ONCE and passed < MOST_PASSED and room(limit) do
    local id, is_dead = next_waiter()
    if not id then break end
    -- Of a killed worker's hundreds, a script drops a few, and each of the others would keep the slot for a claim.
    -- One whose acquire was asked for twice may hold a slot by now: his lease must not become a claim.
    if is_dead or redis.call('ZSCORE', slots, id) then
      passed = passed + 1
    else
      take(id, claim)
      handed = handed + 1
      -- A user who may publish nothing has his waiters look for themselves.
      if id ~= own then redis.pcall('PUBLISH', channel .. string.match(id, '^[^.]*'), id) end
    end
  end
  if redis.call('ZCARD', waits) == 0 then redis.call('DEL', places, ring) end
end
