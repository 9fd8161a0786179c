-- Looks at what stands in a stream behind what its group has read: which kind each entry is, not what it holds. One consumer at a time.
-- Kinds (priority, line feed, type) that are known not to be urgent are passed over here: they are most of what there is.
-- KEYS: stream, who looks ahead. ARGV: group, consumer, ms until another may look, id after which to look, entries at most, bytes at most,
--   then the known kinds.
-- Returns false = another consumer looks ahead, else {id after which it looked: the given one or what the group has read since,
--   id of the last entry looked at, whether more may follow 0/1, how many were passed over,
--   {id, bytes, priority, type, event} per other entry, '' where it has no such field}.
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[2] then
  return false
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])

local function before(a, b)
  local ms_a, seq_a = string.match(a, '(%d+)-(%d+)')
  local ms_b, seq_b = string.match(b, '(%d+)-(%d+)')
  if ms_a ~= ms_b then
    return #ms_a < #ms_b or (#ms_a == #ms_b and ms_a < ms_b)
  end
  return #seq_a < #seq_b or (#seq_a == #seq_b and seq_a < seq_b)
end

local after = ARGV[4]
for _, info in ipairs(redis.pcall('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
  if group.name == ARGV[1] and before(after, group['last-delivered-id']) then
    after = group['last-delivered-id']
  end
end

local calm = {}
for i = 7, #ARGV do calm[ARGV[i]] = true end

local AT_ONCE = 50
local from, left, room = after, tonumber(ARGV[5]), tonumber(ARGV[6])
local seen, passed, more = {}, 0, true
while more and left > 0 and room > 0 do
  local count = math.min(AT_ONCE, left)
  local page = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', count)
  more = #page == count
  for _, entry in ipairs(page) do
    local fields, bytes = entry[2], 0
    local priority, kind, event = '', '', ''
    for i = 1, #fields, 2 do
      local name, value = fields[i], fields[i + 1]
      bytes = bytes + #name + #value
      if name == 'priority' then priority = value
      elseif name == 'type' then kind = value
      elseif name == 'event' then event = value end
    end
    after = entry[1]
    if event == '' and calm[priority .. '\n' .. kind] then
      passed = passed + 1
    else
      seen[#seen + 1] = {after, bytes, priority, kind, event}
    end
    left, room = left - 1, room - bytes
    if room <= 0 then
      more = true
      break
    end
  end
end
return {from, after, more and 1 or 0, passed, seen}
