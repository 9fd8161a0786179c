-- Takes over entries whose consumer has been silent for min_idle ms. KEYS: stream. ARGV: group, consumer, min_idle, count.
-- Returns {id, times delivered, fields or false}; false: the entry was deleted or trimmed while pending, so it is acknowledged here.
local stale = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4])
local taken = {}
for _, pending in ipairs(stale) do
  local id = pending[1]
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], id)
    taken[#taken + 1] = {id, pending[4] + 1, entry[2]}
  else
    redis.call('XACK', KEYS[1], ARGV[1], id)
    taken[#taken + 1] = {id, pending[4], false}
  end
end
return taken
