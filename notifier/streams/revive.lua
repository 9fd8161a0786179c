-- Takes a dead letter away and, in the same step, adds what it becomes: done twice, it does nothing the second time.
-- XDEL comes first: Redis lets a script that has written go on when memory is full, so this is never half done.
-- KEYS: the dead letters, then the target streams. ARGV: letter id, number of targets, then per target:
--   its key (index into KEYS), number of fields and values, fields and values.
-- Returns 1 = done, 0 = there is no such letter any more.
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
local at = 3
for _ = 1, tonumber(ARGV[2]) do
  local target, width = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
  redis.call('XADD', target, '*', unpack(ARGV, at + 2, at + 1 + width))
  at = at + 2 + width
end
return 1
