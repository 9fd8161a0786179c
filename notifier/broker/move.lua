-- Takes waiting entries out of a stream and, in the same step, adds what they become; leaves those alone that a process has in flight.
-- With replies.lua before it. Done twice, it does nothing the second time.
-- XDEL and XACK come last; what was added before is taken back when a later target is refused. Those that are tried first change
-- nothing (no entry has the id 0-0): they show that taking away is allowed, and Redis lets a script that has called a command that
-- writes continue when memory is full.
-- KEYS: stream, then the target streams. ARGV: group, ms after which an entry is in flight no longer, number of entries, then per entry:
--   its id, number of targets, then per target: its key (index into KEYS), number of fields and values, fields and values.
-- Returns per entry 1 = done, 0 = it is gone, 2 = a process has it in flight, or a text: "command key error", it is refused and nothing has changed.
local group, idle, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('XDEL', KEYS[1], '0-0')
redis.call('XACK', KEYS[1], group, '0-0')

-- Dead letters have no group, and a lane may never have had one.
local grouped = redis.call('EXISTS', KEYS[1]) == 1 and group_named(KEYS[1], group)

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
      if error_of(reply) then
        for _, each in ipairs(added) do redis.call('XDEL', each[1], each[2]) end
        result = 'xadd ' .. target .. ' ' .. error_of(reply)
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
