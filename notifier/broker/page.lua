-- Returns entries as XRANGE and XREVRANGE do, in pieces that fit. With entry_size.lua before it. KEYS: stream. ARGV: the command, its two ends,
-- how many entries at most, bytes at most (one entry is always returned), bytes of the largest entry.
-- An entry that is too large has one field, too_large_bytes. Returns {1 = there may be more, else 0, {{id, {field, value, …}}, …}}.
local stream, command, start, stop = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local left, room, largest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local found = {}
while left > 0 do
  local entry = redis.call(command, stream, start, stop, 'COUNT', 1)[1]
  if not entry then return {0, found} end
  local id = entry[1]
  local fields, bytes, withheld = sent(entry, largest)
  -- Nobody may mistake its rest for an event.
  if withheld > 0 then fields = {'too_large_bytes', tostring(withheld)} end
  if #found > 0 and bytes > room then return {1, found} end
  found[#found + 1] = {id, fields}
  left, room, start = left - 1, room - bytes, '(' .. id
end
return {0, found}
