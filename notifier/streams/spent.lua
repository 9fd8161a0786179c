-- Tells how much of a channel's rate limit is spent, without spending any. KEYS: hash of the channel (see reserve.lua).
-- Returns the ms until all of its burst is free again.
local due = tonumber(redis.call('HGET', KEYS[1], 'due'))
if not due then
  return 0
end
local time = redis.call('TIME')
return math.max(0, math.ceil(due - (time[1] * 1000 + math.floor(time[2] / 1000))))
