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
--
-- It reads all there is, and fails before anything was written. A script goes on
-- with `slots`, `now`, `unguarded`, prune(), prolong() and write().
if redis.replicate_commands then redis.replicate_commands() end -- Redis < 7 with lua-replicate-commands no
local slots, book, number, window = KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local milliseconds = math.floor(now * 1000)

-- MGET takes a key of another type for none, and SET would write over it: GET fails.
local found = redis.call('MGET', number, book)
local text, noted = found[1], found[2]
if not (text and noted) and redis.call('EXISTS', number, book) > ((text or noted) and 1 or 0) then
  if type(redis.pcall('ZCARD', number)) == 'number' and redis.call('EXISTS', number) == 1 then
    error('WRONGTYPE ' .. number .. ' holds slots of a newer LiteLLM')
  end
  redis.call('GET', number)
  redis.call('GET', book)
end

local total = tonumber(text or 0)
if not total or total ~= total or math.abs(total) > 1e15 then
  error('WRONGTYPE ' .. number .. ' holds no number')
end
total = total < 0 and math.ceil(total) or math.floor(total)

local was = { held = 0, unguarded = 0, rose = 0, expires = 0 }
if noted then
  local held, rest, unguarded, rose, expires, slots_expire =
    string.match(noted, '^(%d+) ((%d+) (%d+%.%d+) (%d+) (%d+))$')
  if not held then
    error('WRONGTYPE ' .. book .. ' holds no book of the guard')
  end
  was = {
    held = tonumber(held),
    rest = rest,
    unguarded = tonumber(unguarded),
    rose = tonumber(rose),
    expires = tonumber(expires),
    slots_expire = tonumber(slots_expire),
  }
end

-- Whether two keys got their expiry in one moment. Redis' clock stands still in
-- a script or nearly so; between our two looks at `a`, it may have gone on.
local function expire_together(a, b)
  local before, other, after = redis.call('PTTL', a), redis.call('PTTL', b), redis.call('PTTL', a)
  return other > 0 and other <= before + 2 and other >= after - 2
end

local ttl = text and redis.call('PTTL', number) or -2
local expires = ttl < 0 and 0 or milliseconds + ttl
local moved, anew = math.abs(expires - was.expires) > 50, false
if not moved then
  expires = was.expires
elseif text then
  anew = expire_together(number, KEYS[4])
    and not expire_together(KEYS[5], KEYS[4])
    and not expire_together(KEYS[6], KEYS[4])
end

local slots_expire = was.slots_expire
local unguarded, rose = math.max(0, anew and total or total - was.held), was.rose
if anew or unguarded > was.unguarded then
  rose = now
elseif now - rose >= window then
  unguarded = 0
end

-- Drop the slots that have lapsed; return how many are left and how many were dropped.
-- Unless the script has `begun` to write, it does so here: a Redis whose memory is full lets a script go on that began
-- with what takes none, and one that may not write must say so at a refusal, too, or would seem to be back with each.
local function prune(begun)
  local held, lapsed = redis.call('ZCARD', slots), 0
  if held > 0 or not begun then
    lapsed = redis.call('ZREMRANGEBYSCORE', slots, '-inf', string.format('%.6f', now))
    held = held - lapsed
  end
  if held == 0 then
    -- Deleted or lapsed, and the book knows nothing of it: the next slot makes a key that would live for ever.
    slots_expire = 0
  elseif not slots_expire then
    slots_expire = milliseconds + math.max(0, redis.call('PTTL', slots))
  end
  return held, lapsed
end

-- Have the slots' key outlive a lease that begins now by half a second at least: of many in a second, few prolong it.
local function prolong(lease)
  local lapses = milliseconds + math.ceil(lease * 1000)
  if slots_expire < lapses + 500 then
    slots_expire = lapses + 1000
    redis.call('PEXPIREAT', slots, string.format('%.0f', slots_expire))
  end
end

-- Write the number and the book from the slots as they are now, unless that is what they say; return what is in flight.
local function write(held)
  local in_flight = held + unguarded
  if in_flight == 0 then
    if text or noted then
      redis.call('DEL', number, book)
    end
    return 0
  end
  if held > 0 then
    expires = math.max(expires, slots_expire)
  else
    local forgotten = math.ceil((rose + window) * 1000)
    expires = expires > 0 and math.min(expires, forgotten) or forgotten
  end
  local rest = was.rest -- kept where it may be: to make this text costs Redis more than a command does
  if unguarded ~= was.unguarded or rose ~= was.rose or expires ~= was.expires or slots_expire ~= was.slots_expire then
    rest = string.format('%.0f %.6f %.0f %.0f', unguarded, rose, expires, slots_expire)
  end
  local written = string.format('%.0f', in_flight)
  if moved or written ~= text or held ~= was.held or rest ~= was.rest then
    local left = math.max(1, expires - milliseconds)
    redis.call('SET', number, written, 'PX', left)
    redis.call('SET', book, held .. ' ' .. rest, 'PX', left + math.ceil(window * 1000))
  end
  return in_flight
end

