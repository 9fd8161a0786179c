-- Takes notifications out of a lane and, in the same step, adds what they become; leaves those alone that a process has in hand.
-- XDEL comes first: Redis lets a script that has written go on when memory is full, so none is half done.
-- KEYS: lane, then the target streams. ARGV: group, ms after which an entry is in nobody's hand, number of entries, then per entry:
--   its id, number of targets, then per target: its key (index into KEYS), number of fields and values, fields and values.
-- Returns per entry 1 = done, 0 = it is gone, 2 = a process has it in hand.
local group, idle, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local at, results = 4, {}
for i = 1, n do
  local id, targets = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  -- The lane may never have had a group.
  local pending = redis.pcall('XPENDING', KEYS[1], group, id, id, 1)
  local holder = not pending.err and pending[1]
  local result = 2
  if not holder or holder[3] >= idle then
    result = redis.call('XDEL', KEYS[1], id)
    if holder then redis.call('XACK', KEYS[1], group, id) end
  end
  for _ = 1, targets do
    local target, width = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
    if result == 1 then
      redis.call('XADD', target, '*', unpack(ARGV, at + 2, at + 1 + width))
    end
    at = at + 2 + width
  end
  results[i] = result
end
return results
