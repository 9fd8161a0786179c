-- Looks at all streams of one event stream in one step, so that their numbers fit together; changes nothing. With replies.lua before it.
-- KEYS: streams. ARGV: group, how many entries to count at most where the server keeps no lag (before 7.0), then per stream what becomes of
-- acknowledged entries: 1 = deleted, 0 = kept, - = there is no group (dead letters).
-- Returns per stream {waiting, age of the oldest in ms, pending, group there 1/0, consumers, ms since one of them asked, ever added, length}; -1 = not known or none.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function look(key, kind, length)
  local added = members(redis.call('XINFO', 'STREAM', key))['entries-added'] or -1
  local group = kind ~= '-' and group_named(key, ARGV[1])
  local last, pending, consumers, silent = '0-0', 0, 0, -1
  if group then
    last, pending, consumers = group['last-delivered-id'], group.pending, group.consumers
    if consumers > 0 then
      for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', key, ARGV[1])) do
        local idle = members(info).idle
        if silent < 0 or idle < silent then silent = idle end
      end
    end
  end
  -- After the last id of all there is none, and Redis refuses to look.
  local ended = last == '18446744073709551615-18446744073709551615'
  local waiting, oldest = length, nil
  if kind == '0' or pending == 0 then
    local first
    if kind ~= '0' or not ended then
      first = redis.call('XRANGE', key, kind == '0' and '(' .. last or '-', '+', 'COUNT', 1)[1]
    end
    oldest = first and first[1]
    if kind == '0' then
      waiting = pending
      if first then
        -- Redis counts entries that were trimmed before the group read them into its lag.
        local behind = group and group.lag or #redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', ARGV[2])
        waiting = pending + math.min(behind, length)
      end
    end
  end
  if pending > 0 then
    oldest = redis.call('XPENDING', key, ARGV[1])[2]
  end
  local age = -1
  if oldest then age = math.max(0, now - tonumber(string.match(oldest, '^%d+'))) end
  return {waiting, age, pending, group and 1 or 0, consumers, silent, added, length}
end

local found = {}
for i = 1, #KEYS do
  local key = KEYS[i]
  local length = redis.pcall('XLEN', key)
  found[i] = {0, -1, 0, 0, 0, -1, -1, 0}
  if type(length) == 'table' then
    -- A key of another type holds nothing of ours; the stage that needs it reports it.
    if not has(tostring(length.err), 'WRONGTYPE') then return length end
  elseif length > 0 or redis.call('EXISTS', key) == 1 then
    found[i] = look(key, ARGV[i + 2], length)
  end
end
return found
