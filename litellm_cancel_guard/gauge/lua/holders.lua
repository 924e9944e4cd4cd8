-- Which slots are in the way of one that is refused. Not a script of its own: what every acquire starts with.
--
-- One command either way, as it takes to see that the slot is not held. Of many slots one is free soon, however old they
-- are, and to hand them all out would hold Redis up. A user who may not run ZRANGE (an ACL that lists commands) learns
-- that it is full, and no more.
local function held_by_others(key, held, slot)
  local holders = held <= 64 and redis.pcall('ZRANGE', key, 0, -1)
  if not holders or holders.err then
    return not redis.call('ZSCORE', key, slot) and {} or nil
  end
  for i = 1, #holders do
    if holders[i] == slot then return nil end
  end
  return holders
end
