-- Reserves n requests under a rate limit (GCRA, the leaky bucket as a meter) with a least distance between two of them.
-- Should the server's clock go back, or a replica with a slower clock become the master, reservations go back with it: else every
-- channel would wait until the clock has caught up.
-- KEYS: hash of the channel. ARGV: n, ms per request, burst, least distance in ms. Returns the ms to wait for each of the n.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'due', 'last', 'at')
local each, burst, distance = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local back = math.max(0, (tonumber(state[3]) or now) - now)
local due, last = (tonumber(state[1]) or now) - back, (tonumber(state[2]) or 0) - back
local waits = {}
for i = 1, tonumber(ARGV[1]) do
  local at = math.max(now, due - (burst - 1) * each, last + distance)
  due = math.max(due, at) + each
  last = at
  waits[i] = math.ceil(at - now)
end
-- PEXPIRE comes first: Redis lets a script that has written continue when memory is full, and only deliveries empty the lanes.
redis.call('PEXPIRE', KEYS[1], 60000)
redis.call('HSET', KEYS[1], 'due', string.format('%.3f', due), 'last', string.format('%.3f', last), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(due - now) + 60000)
return waits
