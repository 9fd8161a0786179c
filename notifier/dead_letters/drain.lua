-- Takes notifications out of a lane and, in the same step, adds what they become; leaves those alone that a process has in flight.
-- XDEL and XACK come last; what was added before is taken back when a later target is refused. Those that are tried first change
-- nothing (no entry has the id 0-0): they show that taking away is allowed, and Redis lets a script that has called a command that
-- writes go on when memory is full.
-- KEYS: lane, then the target streams. ARGV: group, ms after which an entry is in flight no longer, number of entries, then per entry:
--   its id, number of targets, then per target: its key (index into KEYS), number of fields and values, fields and values.
-- Returns per entry 1 = done, 0 = it is gone, 2 = a process has it in flight, or a text: "command key error", it is refused and nothing has changed.
local group, idle, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('XDEL', KEYS[1], '0-0')
redis.call('XACK', KEYS[1], group, '0-0')

-- The lane may never have had a group.
local grouped = false
if redis.call('EXISTS', KEYS[1]) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    for i = 1, #info, 2 do
      if info[i] == 'name' and info[i + 1] == group then grouped = true end
    end
  end
end

local at, results = 4, {}
for i = 1, n do
  local id, targets = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  local holder = grouped and redis.call('XPENDING', KEYS[1], group, id, id, 1)[1]
  local result = 2
  if not holder or holder[3] >= idle then
    result = #redis.call('XRANGE', KEYS[1], id, id)
  end
  local added = {}
  for _ = 1, targets do
    local target, width = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
    if result == 1 then
      local reply = redis.pcall('XADD', target, '*', unpack(ARGV, at + 2, at + 1 + width))
      if type(reply) == 'table' and reply.err then
        for _, each in ipairs(added) do redis.call('XDEL', each[1], each[2]) end
        result = 'xadd ' .. target .. ' ' .. tostring(reply.err)
      else
        added[#added + 1] = {target, reply}
      end
    end
    at = at + 2 + width
  end
  if result == 1 then redis.call('XDEL', KEYS[1], id) end
  if holder and (result == 1 or result == 0) then redis.call('XACK', KEYS[1], group, id) end
  results[i] = result
end
return results
