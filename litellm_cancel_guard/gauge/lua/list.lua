-- List the slots in flight, for an operator; nothing is written.
--
-- Clock: Redis' TIME, in seconds.
-- KEYS[1]  sorted set of slots, of either layout
-- ARGV[1]  horizon: a slot whose score is this old has lapsed; seconds (0 where the score is when it lapses)
-- Returns {id, milliseconds until it lapses, id, ...}, the one that lapses first before the others.
-- Again: nothing has changed.
return found
