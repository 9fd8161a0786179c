-- Settles an event by what one person does on one of its cards: the first one wins. All that follows happens in the same step, so an accepted action
-- can be neither lost nor doubled: its entry for Postgres and, where the claims workers are asked, their request.
-- To escalate an event settles nothing: it is done once, and the first other action overwrites it.
-- Everything that could be refused is tried before the first write: types by reading, the rights to write by commands that change nothing.
-- KEYS: stream of accepted actions, stream of requests, then hashes of who acted: of the notification, of the event if it is known, of the event's other
-- notifications, where versions before this one look and write.
-- ARGV: seconds to remember, in how many of the hashes another's escalation comes first too, how many of the hashes to write, number of fields and
-- values of the action, these, most requests to keep, then fields and values of the request (none: nothing is asked).
-- Returns {} = done now, or the fields of the action that was first.
local once, marked, width = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function is_escalation(found)
  for i = 1, #found, 2 do
    if found[i] == 'action' then return found[i + 1] == 'escalate' end
  end
end

for i = 3, #KEYS do
  local found = redis.call('HGETALL', KEYS[i])
  if #found > 0 and (i - 2 <= once or not is_escalation(found)) then
    return found
  end
end
redis.call('XLEN', KEYS[1])
redis.call('XLEN', KEYS[2])
redis.call('EXPIRE', KEYS[3], ARGV[1])
-- A field without its value is refused, but only after the rights and the memory were looked at.
local refused = redis.pcall('HSET', KEYS[3], 'x', '1', 'y')
local why = type(refused) == 'table' and tostring(refused.err) or ''
for _, word in ipairs({"can't run", 'permission', 'OOM', 'READONLY', 'MISCONF'}) do
  if string.find(why, word, 1, true) then return redis.error_reply(why) end
end
local asked
if #ARGV > 5 + width then
  asked = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5 + width], '*', unpack(ARGV, 6 + width))
end
-- The last id of a stream may be used up, which nothing tells but trying.
local accepted = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, 5, 4 + width))
if type(accepted) == 'table' then
  if asked then redis.call('XDEL', KEYS[2], asked) end
  return accepted
end
for i = 3, 2 + marked do
  redis.call('HSET', KEYS[i], unpack(ARGV, 5, 4 + width))
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return {}
