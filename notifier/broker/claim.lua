-- Claims entries whose consumer has been silent for min_idle ms, or sends again what this consumer has read behind an id and
-- has not seen; of both the lease begins now. With entry_size.lua before it.
-- KEYS: stream. ARGV: group, consumer, min_idle, count, bytes at most (one entry is always returned), bytes of the largest entry,
--   deliveries from which an entry goes alone, '' or the last id that this consumer has seen, 0 or the latest time in ms that it may be: with a
--   clock that leapt ahead everything looks silent, then ids of entries that are free although they were delivered in the future.
-- An entry that goes alone is counted by count_delivery.lua, not here: only so a death counts for it and for no other.
-- Returns the time, {id, times delivered, fields or false, 0 or the bytes of an entry that is too large: its long values are then empty} each,
-- ids of others' entries that were delivered this very moment or in the future.
-- false: the entry was deleted or trimmed while pending, so it is acknowledged here.
local stream, group, consumer, min_idle, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local room, largest, alone, seen, latest = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local FREE = 10
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if latest > 0 and now > latest then return {now, {}, {}} end

local pending
if seen == '' then
  pending = redis.call('XPENDING', stream, group, 'IDLE', min_idle, '-', '+', count)
  for i = FREE, #ARGV do
    local each = redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1)[1]
    if each and each[3] <= 0 then pending[#pending + 1] = each end
  end
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
    local noted = deliveries
    if seen == '' then
      deliveries = deliveries + 1
      if deliveries < alone then noted = deliveries end
    end
    redis.call('XCLAIM', stream, group, consumer, math.max(0, math.min(min_idle, each[3])), id, 'RETRYCOUNT', noted, 'JUSTID')
  else
    redis.call('XACK', stream, group, id)
  end
  taken[#taken + 1] = {id, deliveries, fields or false, withheld}
end

local ahead = {}
if #taken == 0 and seen == '' then
  for _, each in ipairs(redis.call('XPENDING', stream, group, '-', '+', count)) do
    if each[3] <= 0 and each[2] ~= consumer then ahead[#ahead + 1] = each[1] end
  end
end
return {now, taken, ahead}
