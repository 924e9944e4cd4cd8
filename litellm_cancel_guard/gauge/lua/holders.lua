-- Which slots are in the way of one that is refused. Not a script of its own: what every acquire starts with.
--
-- One command either way, as it takes to see that the slot is not held. Of many slots one is free soon, however old they
-- are, and to hand them all out would hold Redis up.
local function held_by_others(key, held, slot)
  if held > 64 then
    return not redis.call('ZSCORE', key, slot) and {} or nil
  end
  local holders = redis.call('ZRANGE', key, 0, -1)
  for i = 1, #holders do
    if holders[i] == slot then return nil end
  end
  return holders
end
