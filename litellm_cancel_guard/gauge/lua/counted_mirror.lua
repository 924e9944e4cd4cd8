-- What every script of the counted layout starts with: LiteLLM's number, kept
-- as a true mirror of the slots in flight. Not a script of its own.
--
-- The data, all under one hash tag:
--   slots   sorted set: slot id -> when it lapses (Redis' TIME, seconds)
--   book    string, what the guard knows; with a blank between each two:
--             held          slots of guarded workers in the number it wrote last
--             unguarded     slots of workers without the guard in that number
--             rose          when unguarded last rose; seconds
--             expires       when the number it wrote last expires; milliseconds
--             slots_expire  when the slots' key expires, which these scripts
--                           alone decide; milliseconds, 0 if there is no slot
--           Where it is lost, Redis is asked when the slots' key expires.
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

local function began_with_window()
  local window = KEYS[4]
  return expire_together(mirror.number, window)
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

local function noted(book)
  if not book then
    return { held = 0, unguarded = 0, rose = 0, expires = 0 }
  end
  local held, unguarded, rose, expires, slots_expire = string.match(book, '^(%d+) (%d+) (%d+%.%d+) (%d+) (%d+)$')
  if not held then
    error('WRONGTYPE ' .. mirror.book .. ' holds no book of the guard')
  end
  return {
    held = tonumber(held),
    unguarded = tonumber(unguarded),
    rose = tonumber(rose),
    expires = tonumber(expires),
    slots_expire = tonumber(slots_expire),
  }
end

-- Return what unguarded workers hold, and what is to be written again; writes nothing, and fails before anything was
-- written.
function mirror.read(now)
  local text, book = texts()
  local total, last = integer(text or '0'), noted(book)
  local seen = { now = now, milliseconds = math.floor(now * 1000), number = text, book = book }
  local ttl = text and redis.call('PTTL', mirror.number) or -2
  seen.expires = ttl < 0 and 0 or seen.milliseconds + ttl
  seen.moved = math.abs(seen.expires - last.expires) > 50
  seen.expires = seen.moved and seen.expires or last.expires
  seen.slots_expire = last.slots_expire

  local anew = text and seen.moved and began_with_window()
  seen.unguarded, seen.rose = math.max(0, anew and total or total - last.held), last.rose
  if anew or seen.unguarded > last.unguarded then
    seen.rose = now
  elseif now - last.rose >= mirror.window then
    seen.unguarded = 0
  end
  return seen
end

-- Drop the slots that have lapsed, and look at the others; return how many were dropped.
-- Unless the script has `begun` to write, it does so here: a Redis whose memory is full lets a script go on that began
-- with what takes none, and one that may not write must say so at a refusal, too, or would seem to be back with each.
function mirror.prune(seen, begun)
  local lapsed = 0
  seen.held = redis.call('ZCARD', mirror.slots)
  if seen.held > 0 or not begun then
    lapsed = redis.call('ZREMRANGEBYSCORE', mirror.slots, '-inf', string.format('%.6f', seen.now))
    seen.held = seen.held - lapsed
  end
  if seen.held == 0 then
    -- Deleted or lapsed, and the book knows nothing of it: the next slot makes a key that would live for ever.
    seen.slots_expire = 0
  elseif not seen.slots_expire then
    seen.slots_expire = seen.milliseconds + math.max(0, redis.call('PTTL', mirror.slots))
  end
  return lapsed
end

-- Have the slots' key outlive a lease that begins now by half a second at least: of many in a second, few prolong it.
function mirror.prolong(seen, lease)
  local lapses = seen.milliseconds + math.ceil(lease * 1000)
  if seen.slots_expire < lapses + 500 then
    seen.slots_expire = lapses + 1000
    redis.call('PEXPIREAT', mirror.slots, string.format('%.0f', seen.slots_expire))
  end
end

-- Write the number and the book from the slots as they are now, unless that is how they are; return the slots in flight.
function mirror.write(seen)
  local total = seen.held + seen.unguarded
  if total == 0 then
    if seen.number or seen.book then
      redis.call('DEL', mirror.number, mirror.book)
    end
    return 0
  end
  local expires = math.ceil((seen.rose + mirror.window) * 1000)
  if seen.held > 0 then
    expires = math.max(seen.expires, seen.slots_expire)
  elseif seen.expires > 0 then
    expires = math.min(seen.expires, expires)
  end
  local number = string.format('%.0f', total)
  local book = string.format(
    '%.0f %.0f %.6f %.0f %.0f', seen.held, seen.unguarded, seen.rose, expires, seen.slots_expire
  )
  if seen.moved or number ~= seen.number or book ~= seen.book then
    local ttl = math.max(1, expires - seen.milliseconds)
    redis.call('SET', mirror.number, number, 'PX', ttl)
    redis.call('SET', mirror.book, book, 'PX', ttl + math.ceil(mirror.window * 1000))
  end
  return total
end

