-- Removes consumers that have nothing pending and are either named or silent for idle ms. In one step: XGROUP DELCONSUMER
-- drops what is pending, so an entry read between a check and the removal would be lost. With replies.lua before it.
-- KEYS: stream. ARGV: group, consumer, idle ms. Returns how many were removed.
local removed = 0
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = members(info)
  if consumer.pending == 0 and (consumer.name == ARGV[2] or consumer.idle > tonumber(ARGV[3])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
