-- Takes over entries whose consumer has been silent for min_idle ms, or sends again what this consumer has read behind an id and
-- has not seen. With sent.lua before it.
-- KEYS: stream. ARGV: group, consumer, min_idle, count, bytes at most (one entry is always returned), bytes of the largest entry,
--   deliveries from which an entry goes alone, '' or the last id that this consumer has seen.
-- An entry that goes alone is counted by trial.lua, not here: only so a death counts for it and for no other.
-- Returns {id, times delivered, fields or false, 0 or the bytes of an entry that is too large: its long values are then empty} each;
-- false: the entry was deleted or trimmed while pending, so it is acknowledged here.
local stream, group, consumer, min_idle, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local room, largest, alone, seen = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

local pending
if seen == '' then
  pending = redis.call('XPENDING', stream, group, 'IDLE', min_idle, '-', '+', count)
else
  pending = redis.call('XPENDING', stream, group, '(' .. seen, '+', count, consumer)
end

local taken = {}
for _, each in ipairs(pending) do
  local id, deliveries = each[1], each[4]
  local fields, bytes, withheld = sent(redis.call('XRANGE', stream, id, id)[1], largest)
  if fields then
    if #taken > 0 and bytes > room then break end
    room = room - bytes
    if seen == '' then
      local noted = deliveries + 1 < alone and deliveries + 1 or deliveries
      redis.call('XCLAIM', stream, group, consumer, min_idle, id, 'RETRYCOUNT', noted, 'JUSTID')
      deliveries = deliveries + 1
    end
  else
    redis.call('XACK', stream, group, id)
  end
  taken[#taken + 1] = {id, deliveries, fields or false, withheld}
end
return taken
