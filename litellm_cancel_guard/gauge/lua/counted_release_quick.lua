-- What a release of the counted layout is where only guarded workers have touched the key since a script of theirs wrote
-- last. Not a script of its own: either it answers, or the rest of the script reads anew, and makes right whatever was
-- written here.
--
-- By what it goes is said where the acquire does so. What has lapsed is not looked for: it is in nobody's way until an
-- acquire finds no room, and that one drops it.
if not redis.REDIS_VERSION_NUM and redis.replicate_commands then redis.replicate_commands() end -- Redis < 7
do
  local slots, book, number = KEYS[1], KEYS[2], KEYS[3]
  local found = redis.call('MGET', number, book, KEYS[4])
  local noted, window = found[2], found[3]
  local held, rest, expires = string.match(noted or '', '^(%d+)( 0 %d+%.%d+ (%d+) %d+)$')
  if held and held == found[1] then
    if window then
      local time = redis.call('TIME')
      local milliseconds = time[1] * 1000 + time[2] / 1000
      if math.abs(redis.call('PTTL', number) + milliseconds - expires) > 50 then held = nil end
    end
    if held and redis.call('ZREM', slots, ARGV[2]) == 1 then
      if held == '1' then
        redis.call('DEL', number, book)
        return { 0, 0 }
      end
      local left = string.format('%d', held - 1)
      -- Redis < 6 knows no KEEPTTL.
      if redis.pcall('SET', number, left, 'KEEPTTL').ok then
        redis.call('SET', book, left .. rest, 'KEEPTTL')
        return { held - 1, 0 }
      end
    end
  end
end
