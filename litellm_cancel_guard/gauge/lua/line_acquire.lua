-- Take a slot; where none is free, or others wait for one, wait in line for it.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS     the layout's; then places, line, ring and waits of {api_key:<hash>}:cancel_guard
-- ARGV[1]  the layout's window or horizon; seconds
-- ARGV[2]  lease; seconds
-- ARGV[3]  limit: slots that may be held at once
-- ARGV[4]  id of the slot
-- ARGV[5]  how many may wait
-- ARGV[6]  class: those of one are served in the order in which they came, and the classes in turn
-- ARGV[7]  place that it was given before; empty if none
-- ARGV[8]  lease of a slot that is handed, until it is claimed; seconds
-- ARGV[9]  lease of a place in line; seconds
-- ARGV[10] channel of the workers, to which the name of one is added
-- ARGV[11] how many classes are kept apart
-- Returns {1, slots in flight, this one included, slots dropped that had lapsed}; if it waits, {2, slots in flight, slots
-- dropped, its place, how many wait, with it}; if refused, {0, slots in flight, slots dropped, {ids of slots in flight}}.
-- Again with the same id: the slot is renewed, no second one is taken, and the limit is not asked; who waits, waits on at
-- his place.
local lease, limit, id = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local waiting = redis.call('ZCARD', waits)
redis.call('HGET', places, 'limit')
begin()
if not redis.call('ZSCORE', slots, id) then
  if waiting > 0 then drop_lapsed() end
  waiting = redis.call('ZCARD', waits)
  if waiting == 0 and room(limit) then
    take(id, lease)
    return { 1, finish(), lapsed }
  end
  local at = redis.call('HGET', places, id)
  -- Of another type, either would fail this script when it has written the other two, which then lived for ever.
  redis.call('ZCARD', line)
  redis.call('ZCARD', ring)
  redis.call('HSET', places, 'limit', ARGV[3])
  if not at and ARGV[7] == '' and waiting >= tonumber(ARGV[5]) then
    keep_keys() -- Redis may have dropped this one of the four for want of memory, and it was made anew
    hand(tonumber(ARGV[8]), ARGV[10], id)
    -- What came free without a release, or by a cap that was raised, may be enough for all who waited and this one.
    waiting = redis.call('ZCARD', waits)
    if waiting >= tonumber(ARGV[5]) and not (waiting == 0 and room(limit)) then
      return { 0, finish(), lapsed, redis.call('ZRANGE', slots, 0, 63) }
    end
    redis.call('HSET', places, 'limit', ARGV[3])
  end
  local class, place = ARGV[6], ARGV[7]
  if at then
    class, place = string.sub(at, 1, 16), string.sub(at, 18)
  elseif not redis.call('ZSCORE', ring, class) and redis.call('ZCARD', ring) >= tonumber(ARGV[11]) then
    class = string.rep('f', 16)
  end
  place = park(id, class, place, tonumber(ARGV[9]))
  keep_keys()
  hand(tonumber(ARGV[8]), ARGV[10], id)
  if redis.call('HEXISTS', places, id) == 1 then
    return { 2, finish(), lapsed, place, redis.call('ZCARD', waits) }
  end
end
leave(id)
take(id, lease)
hand(tonumber(ARGV[8]), ARGV[10], id)
return { 1, finish(), lapsed }
