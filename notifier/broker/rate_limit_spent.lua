-- Tells how much of a channel's rate limit is spent, without spending any. KEYS: hash of the channel (see rate_limit_reserve.lua).
-- Returns the ms until all of its burst is free again.
local state = redis.call('HMGET', KEYS[1], 'due', 'at')
local due = tonumber(state[1])
if not due then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return math.max(0, math.ceil(due - math.max(now, tonumber(state[2]) or now)))
