-- Take a slot, and where it was given run another script in the same call. Not a script of its own: the texts of both
-- go into the functions below.
--
-- KEYS     of the gauge, then of the other script; all of one hash slot
-- ARGV[1]  number of the gauge's keys
-- ARGV[2]  number of arguments of the acquire, followed by these; then those of the other script
-- Returns what the acquire returns and, if the slot was given, what the other script returned or its error.
-- Again with the same id: no second slot is taken, but the other script runs again.
local function acquire(KEYS, ARGV)
@ACQUIRE@
end
local function follow(KEYS, ARGV)
@FOLLOW@
end
local unpack = table.unpack or unpack -- no global in a later Lua (Dragonfly's 5.4)
local width, last = tonumber(ARGV[1]), 2 + tonumber(ARGV[2])
local answer = acquire({ unpack(KEYS, 1, width) }, { unpack(ARGV, 3, last) })
if answer[1] == 1 then
  local ran, followed = pcall(follow, { unpack(KEYS, width + 1) }, { unpack(ARGV, last + 1) })
  if not ran then followed = { err = type(followed) == 'table' and followed.err or tostring(followed) } end
  answer[#answer + 1] = followed
end
return answer
