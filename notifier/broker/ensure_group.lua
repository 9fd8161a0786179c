-- Makes the group where it is missing: at the floor that hop.lua keeps, with what was pending pending again and free to be
-- claimed, so that nothing acknowledged is read twice. Without a floor, or when the stream is younger than it, from the first entry on.
-- A group without what was pending would never deliver it, so XCLAIM is tried first: it must fail for want of the group alone. With replies.lua before it.
-- KEYS: stream, its floor. ARGV: group, consumer, idle ms. Returns 1 = made, 0 = it was there, or a text: "command key error", it is refused.
local start, pending = '0', {}
-- A key that another program took is named; whatever else is refused is an error.
local function refused(right, key, reply)
  local err = error_of(reply)
  if has(err, 'WRONGTYPE') then return right .. ' ' .. key .. ' ' .. err end
  if lacks_right(err) then
    return redis.error_reply('NOPERM this user lacks +' .. right)
  end
  return reply
end

local floor = redis.pcall('GET', KEYS[2])
if type(floor) == 'table' then
  return refused('get', KEYS[2], floor)
end
for word in string.gmatch(floor or '', '%S+') do
  if not string.match(word, '^%d+%-%d+$') then return 'get ' .. KEYS[2] .. ' WRONGTYPE not ids of entries' end
end
if floor and string.find(floor, '%S') and redis.call('EXISTS', KEYS[1]) == 1 then
  local last = members(redis.call('XINFO', 'STREAM', KEYS[1]))['last-generated-id']
  if not before(last, string.match(floor, '%S+')) then
    for id in string.gmatch(floor, '%S+') do pending[#pending + 1] = id end
    start = table.remove(pending, 1)
  end
end
if #pending > 0 then
  local tried = redis.pcall('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, '0-1', 'JUSTID')
  if tried.err and not has(error_of(tried), 'NOGROUP') then
    return refused('xclaim', KEYS[1], tried)
  end
end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], start, 'MKSTREAM')
if made.err then
  if has(error_of(made), 'BUSYGROUP') then
    return 0
  end
  return refused('xgroup|create', KEYS[1], made)
end
if #pending > 0 then
  local claim = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0}
  for _, id in ipairs(pending) do claim[#claim + 1] = id end
  for _, word in ipairs({'IDLE', ARGV[3], 'FORCE', 'JUSTID'}) do claim[#claim + 1] = word end
  redis.call(unpack(claim))
end
return 1
