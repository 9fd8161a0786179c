-- Looks at the ids of an event stream and at the groups of others; changes nothing. With replies.lua before it. KEYS: stream. ARGV: our group.
-- Returns {ms of the server's clock, last id, {{group, the oldest id that it has not acknowledged or '' = none, pending}, …}, what our group has read last or '' = it is not there};
-- false: there is no stream.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function first_after(id)
  -- After the last id of all there is none, and Redis refuses to look.
  if id == '18446744073709551615-18446744073709551615' then return '' end
  local entry = redis.call('XRANGE', KEYS[1], '(' .. id, '+', 'COUNT', 1)[1]
  return entry and entry[1] or ''
end

local groups, ours = {}, ''
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = members(info)
  if group.name == ARGV[1] then
    ours = group['last-delivered-id']
  else
    local oldest
    if group.pending > 0 then oldest = redis.call('XPENDING', KEYS[1], group.name)[2] end
    groups[#groups + 1] = {group.name, oldest or first_after(group['last-delivered-id']), group.pending}
  end
end
local generated = members(redis.call('XINFO', 'STREAM', KEYS[1]))['last-generated-id']
return {now, generated, groups, ours}
