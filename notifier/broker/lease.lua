-- Sets the idle time of entries that still belong to the consumer: 0 renews its lease, a long time gives them up at once.
-- An entry that is given up cleanly does not count as a delivery without an end: only those make it poison. One stays noted,
-- so that its next consumer knows that it may have been posted. Entries that go alone are counted by count_delivery.lua only.
-- KEYS: stream. ARGV: group, consumer, idle ms, deliveries from which an entry goes alone, ids. Returns how many were still its own.
local kept = 0
for i = 5, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if pending and pending[2] == ARGV[2] then
    local deliveries = pending[4]
    if ARGV[3] ~= '0' and deliveries < tonumber(ARGV[4]) then deliveries = math.max(1, deliveries - 1) end
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'IDLE', ARGV[3], 'RETRYCOUNT', deliveries, 'JUSTID')
    kept = kept + 1
  end
end
return kept
