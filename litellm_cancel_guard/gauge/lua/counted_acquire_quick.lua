-- What an acquire of the counted layout is where nothing stands in its way: only guarded workers have touched the key
-- since a script of theirs wrote last, or it is at rest. Not a script of its own: either it answers, or the rest of the
-- script reads anew, makes right whatever was written here, and tells of what was `dropped`, too.
--
-- The number says what the book says, and no unguarded slot is noted. A window that an unguarded worker began may have
-- wiped it to the same number: then the window's key is there, and the number's expiry is another than was noted.
-- A slot that has lapsed is dropped where it would make this one refused, and where the key's life is prolonged; until
-- then it is counted. So a refusal is exact; where there is room, nothing depends on it.
if not redis.REDIS_VERSION_NUM and redis.replicate_commands then redis.replicate_commands() end -- Redis < 7
local dropped = 0
do
  local format, slots, book, number = string.format, KEYS[1], KEYS[2], KEYS[3]
  local lease, limit, time = ARGV[2] * 1000, tonumber(ARGV[3]), redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local milliseconds = math.floor(now / 1000)
  local lapses = milliseconds + math.ceil(lease)
  local found = redis.call('MGET', number, book, KEYS[4])
  local text, noted, window = found[1], found[2], found[3]

  local held, rest, rose, expires, slots_expire
  local function expiry_moved() return math.abs(redis.call('PTTL', number) + milliseconds - expires) > 50 end

  if noted then
    held, rest, rose, expires, slots_expire = string.match(noted, '^(%d+)( 0 (%d+%.%d+) (%d+) (%d+))$')
    if held ~= text or window and expiry_moved() then held = nil end
    held = held and tonumber(held)
    if held and held ~= redis.call('ZCARD', slots) then held = nil end
  elseif not text and redis.call('EXISTS', number, book, slots) == 0 then
    held, rose, expires, slots_expire = 0, '0.000000', 0, 0
  end

  local lasts = held and slots_expire - lapses >= 500
  if held and (held + 1 > limit or held > 0 and not lasts) then
    dropped = redis.call('ZREMRANGEBYSCORE', slots, '-inf', format('%.6f', now / 1000000))
    held = held - dropped
  end
  if held and held + 1 > limit then
    -- A refusal is the one that puts right whatever has changed.
    local as_noted = dropped == 0 and (held == 0 or window or not expiry_moved())
    local holders = as_noted and held_by_others(slots, held, ARGV[4])
    if holders then return { 0, held, 0, holders } end
  elseif held then
    -- Of whole microseconds: '%.6f' takes Redis twice as long. Of a fraction, '%d' fails in a later Lua (Dragonfly's 5.4).
    local ends = math.floor(now + lease * 1000)
    local fraction = ends % 1000000
    -- Fails where Redis' memory is full and nothing was written yet.
    local added = redis.pcall('ZADD', slots, format('%d.%06d', (ends - fraction) / 1000000, fraction), ARGV[4])
    if type(added) == 'number' then
      held = held + added
      local written = format('%d', held)
      if not lasts or dropped > 0 then
        slots_expire = math.max(tonumber(slots_expire), lapses + 1000)
        expires = math.max(tonumber(expires), slots_expire)
        local left = expires - milliseconds
        -- Not '%d', a C long: where that has 32 bits, the time is one in the past, and Redis drops all slots at once.
        local when = format('%.0f', slots_expire)
        redis.call('PEXPIREAT', slots, when)
        redis.call('SET', number, written, 'PX', format('%d', left))
        rest = format(' 0 %s %s %s', rose, expires == slots_expire and when or format('%.0f', expires), when)
        redis.call('SET', book, written .. rest, 'PX', format('%d', left + math.ceil(ARGV[1] * 1000)))
        return { 1, held, dropped }
      end
      -- Redis < 6 knows no KEEPTTL.
      if added == 0 or redis.pcall('SET', number, written, 'KEEPTTL').ok then
        if added == 1 then redis.call('SET', book, written .. rest, 'KEEPTTL') end
        return { 1, held, 0 }
      end
    end
  end
end
