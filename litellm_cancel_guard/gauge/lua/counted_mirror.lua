-- What every script of the counted layout starts with: LiteLLM's number, kept
-- as a true mirror of the slots in flight. Not a script of its own.
--
-- The data, all under one hash tag:
--   slots   sorted set: slot id -> when it lapses (Redis' TIME, seconds)
--   book    string, what the guard knows about the number; with a blank between
--           each two:
--             held       slots of guarded workers in the number it wrote last
--             unguarded  slots of workers without the guard in that number
--             rose       when unguarded last rose; seconds
--             expires    when the number it wrote last expires; milliseconds
--   number  string, LiteLLM's: after each script held + unguarded, an integer
--           that is never negative; it is deleted at rest (as is the book)
--   window, requests, tokens
--           LiteLLM's; only their expiry is read, nothing is written
--
-- Workers without the guard write to the number between our scripts. What they
-- did is the difference to what we wrote. In each interleaving:
--   INCR                  unguarded rises by one.
--   INCRBYFLOAT -1        unguarded falls by one. Below what the guard holds it
--                         cannot fall: a late or double decrement (LiteLLM has
--                         both, "-1" in an empty key included) changes nothing,
--                         and the number is put right.
--   SET 1, a new window   wipes our slots out of the number too. It is known by
--                         its expiry: new since we wrote, and the same as the
--                         window's, which the same script set. All of the number
--                         is then unguarded. Where requests or tokens began with
--                         the window, LiteLLM has only INCRed the number, and
--                         another EXPIRE (each failure brings one) has fallen
--                         into the same moment. Seen by the next script only; if
--                         another EXPIRE comes before it, the number counts as
--                         decremented, and up to `held` unguarded slots are
--                         missed until they end.
--   nothing, for a window Unguarded slots that did not rise for one window are
--                         forgotten, as LiteLLM forgets them: a worker that
--                         died must not hold them for ever. Those still running
--                         are missed from then on; their decrement does no harm.
--   DEL, expiry           unguarded is 0; what the guard holds is written again.
-- A decrement by a guarded worker's own LiteLLM cannot be told from one by an
-- unguarded worker, so it must not happen while there are such.
--
-- The number lives at least as long as the slots, the book one window longer:
-- without it, slots of guarded workers would be taken for unguarded.
local mirror = { number = KEYS[3], book = KEYS[2], slots = KEYS[1], window = tonumber(ARGV[1]) }

-- Whether two keys got their expiry in one moment. Redis' clock stands still in
-- a script or nearly so; between our two looks at `a`, it may have gone on.
local function expire_together(a, b)
  local before, other, after = redis.call('PTTL', a), redis.call('PTTL', b), redis.call('PTTL', a)
  return other > 0 and other <= before + 2 and other >= after - 2
end

local function began_with_window(ttl, now, expires)
  local window = KEYS[4]
  return math.abs(now * 1000 + ttl - expires) > 50
    and expire_together(mirror.number, window)
    and not expire_together(KEYS[5], window)
    and not expire_together(KEYS[6], window)
end

-- MGET takes a key of another type for none, and SET would write over it: GET fails.
local function texts()
  local found = redis.call('MGET', mirror.number, mirror.book)
  local there = (found[1] and 1 or 0) + (found[2] and 1 or 0)
  if there < 2 and redis.call('EXISTS', mirror.number, mirror.book) > there then
    redis.call('GET', mirror.number)
    redis.call('GET', mirror.book)
  end
  return found[1], found[2]
end

local function integer(text)
  local number = tonumber(text)
  if not number or number ~= number or math.abs(number) > 1e15 then
    error('WRONGTYPE ' .. mirror.number .. ' holds no number')
  end
  return number < 0 and math.ceil(number) or math.floor(number)
end

local function fields(book)
  local held, unguarded, rose, expires = string.match(book, '^(%d+) (%d+) (%d+%.%d+) (%d+)$')
  if not held then
    error('WRONGTYPE ' .. mirror.book .. ' holds no book of the guard')
  end
  return tonumber(held), tonumber(unguarded), tonumber(rose), tonumber(expires)
end

-- Return what unguarded workers hold; writes nothing, and fails before anything was written.
function mirror.read(now)
  local text, book = texts()
  local total = integer(text or '0')
  local held, before, rose, expires = fields(book or '0 0 0.0 0')
  local ttl = text and redis.call('PTTL', mirror.number) or -2

  local anew = text and began_with_window(ttl, now, expires)
  local unguarded = math.max(0, anew and total or total - held)
  if anew or unguarded > before then
    rose = now
  elseif now - rose >= mirror.window then
    unguarded = 0
  end
  return { unguarded = unguarded, rose = rose, ttl = ttl, now = now }
end

-- Write the number and the book from the slots as they are now; return the slots in flight.
-- What the script knows of the slots already it may say: how many, and the milliseconds that their key lives.
function mirror.write(seen, held, slots_ttl)
  held = held or redis.call('ZCARD', mirror.slots)
  local total = held + seen.unguarded
  if total == 0 then
    redis.call('DEL', mirror.number, mirror.book)
    return 0
  end
  local ttl = math.ceil((seen.rose + mirror.window - seen.now) * 1000)
  if held > 0 then
    ttl = math.max(seen.ttl, slots_ttl or redis.call('PTTL', mirror.slots))
  elseif seen.ttl > 0 then
    ttl = math.min(seen.ttl, ttl)
  end
  ttl = math.max(1, ttl)
  redis.call('SET', mirror.number, string.format('%.0f', total), 'PX', ttl)
  local book = string.format('%d %.0f %.6f %.0f', held, seen.unguarded, seen.rose, seen.now * 1000 + ttl)
  redis.call('SET', mirror.book, book, 'PX', ttl + math.ceil(mirror.window * 1000))
  return total
end

