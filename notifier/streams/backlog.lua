-- Tells what waits in a stream: for a stream that is emptied all of it, for one that keeps its entries what the group has not
-- acknowledged. KEYS: stream. ARGV: group, emptied 0/1, how many entries to count at most where the server keeps no lag (before 7.0).
-- Returns {entries, age of the oldest in ms, or -1 when none waits}.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, -1}
end
local last, pending, lag = '0-0', 0, false
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
  if group.name == ARGV[1] then
    last, pending, lag = group['last-delivered-id'], group.pending, group.lag or false
  end
end
local waiting, oldest
if ARGV[2] == '1' then
  waiting = redis.call('XLEN', KEYS[1])
else
  waiting = pending + (lag or #redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', ARGV[3]))
end
if pending > 0 then
  oldest = redis.call('XPENDING', KEYS[1], ARGV[1])[2]
else
  local first = redis.call('XRANGE', KEYS[1], ARGV[2] == '1' and '-' or '(' .. last, '+', 'COUNT', 1)[1]
  oldest = first and first[1]
end
if not oldest then
  return {waiting, -1}
end
local now = redis.call('TIME')
local age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(string.match(oldest, '^%d+'))
return {waiting, math.max(0, age)}
