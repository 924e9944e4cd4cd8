-- Run one script for many gauges. Not a script of its own: the text of another goes into the function below.
--
-- KEYS     of the first gauge, then of the next
-- ARGV[1]  number of keys of each gauge
-- ARGV[2]  number of arguments that are the same for all of them, and come first; followed by these
-- ARGV     then the others of the first gauge, with a line feed between each two; then of the next
-- Returns {number of a gauge, what the script returned for it or its error, the next number, ...}. Gauges for which it
-- returned {0} are left out: of ten thousand there is mostly nothing to say.
-- Again, after an error too: as with the script itself, which asks of a gauge nothing that depends on another.
local function one(KEYS, ARGV)
@BODY@
end
local width, alike, answers = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
for gauge = 1, #KEYS / width do
  local keys, arguments = {}, {}
  for i = 1, width do keys[i] = KEYS[(gauge - 1) * width + i] end
  for i = 1, alike do arguments[i] = ARGV[2 + i] end
  for own in string.gmatch(ARGV[2 + alike + gauge], '[^\n]+') do arguments[#arguments + 1] = own end
  local ran, answer = pcall(one, keys, arguments)
  if not ran then answer = { err = type(answer) == 'table' and answer.err or tostring(answer) } end
  if #answer ~= 1 or answer[1] ~= 0 then
    answers[#answers + 1] = gauge
    answers[#answers + 1] = answer
  end
end
return answers
