-- Takes a dead letter away and, in the same step, adds what it becomes: done twice, it does nothing the second time.
-- XDEL of the letter comes last; what was added before is taken back when a later target is refused. The XDEL that is tried first
-- changes nothing (no entry has the id 0-0): it shows that taking away is allowed, and Redis lets a script that has called a command
-- that writes go on when memory is full.
-- KEYS: the dead letters, then the target streams. ARGV: letter id, number of targets, then per target:
--   its key (index into KEYS), number of fields and values, fields and values.
-- Returns 1 = done, 0 = there is no such letter any more, or a text: "command key error", it is refused and nothing has changed.
redis.call('XDEL', KEYS[1], '0-0')
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 0
end
local at, added = 3, {}
for _ = 1, tonumber(ARGV[2]) do
  local target, width = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
  local reply = redis.pcall('XADD', target, '*', unpack(ARGV, at + 2, at + 1 + width))
  if type(reply) == 'table' and reply.err then
    for _, each in ipairs(added) do redis.call('XDEL', each[1], each[2]) end
    return 'xadd ' .. target .. ' ' .. tostring(reply.err)
  end
  added[#added + 1] = {target, reply}
  at = at + 2 + width
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
