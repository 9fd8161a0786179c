-- Moves entries between streams in one step. Per entry: only if XACK says it was still pending (nobody else has
-- moved it) are its targets written and, if asked, the source deleted. A crash leaves an entry before or after, never between.
-- An entry to be deleted moves too when its group was lost, or was made again and has not come to it: what was posted is not posted again.
-- XACK comes first: it frees memory, and Redis lets a script that has written go on when memory is full.
-- A source that keeps its entries has a floor, written here: "id pending-id …", everything up to the id is acknowledged except
-- what is pending. ensure.lua makes a lost group again from it.
-- KEYS: every stream, mark and floor that is touched. ARGV: group, pending ids kept at most, number of entries, then per entry:
--   source key, entry id, 1 = delete it once it is acknowledged / 0 = keep it, mark key or 0, mark seconds, floor key or 0,
--   number of targets, then per target: its key, number of fields and values, fields and values. Keys are indexes into KEYS.
-- Returns per entry 1 = moved, 0 = was not pending, 2 = dropped: its mark was there already.
local group, kept, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local at = 4

local function group_of(source)
  for _, info in ipairs(redis.pcall('XINFO', 'GROUPS', source)) do
    local found = {}
    for i = 1, #info, 2 do found[info[i]] = info[i + 1] end
    if found.name == group then return found end
  end
end

local function unread(source, id)
  local state = group_of(source)
  if not state then return true end
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  local last_ms, last_seq = string.match(state['last-delivered-id'], '(%d+)-(%d+)')
  if ms ~= last_ms then
    return #ms > #last_ms or (#ms == #last_ms and ms > last_ms)
  end
  return #seq > #last_seq or (#seq == #last_seq and seq > last_seq)
end

local results = {}
local floors = {}
for i = 1, n do
  local source, id, delete = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2] == '1'
  local mark, ttl = tonumber(ARGV[at + 3]), ARGV[at + 4]
  local floor, targets = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  at = at + 7
  local result = redis.call('XACK', source, group, id)
  if result == 0 and delete and unread(source, id) then
    result = #redis.call('XRANGE', source, id, id)
  end
  if result == 1 and mark > 0 and not redis.call('SET', KEYS[mark], id, 'NX', 'EX', ttl) then
    result = 2
  end
  for _ = 1, targets do
    local target, width = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
    if result == 1 then
      redis.call('XADD', target, '*', unpack(ARGV, at + 2, at + 1 + width))
    end
    at = at + 2 + width
  end
  if result > 0 and delete then
    redis.call('XDEL', source, id)
  end
  if result > 0 and floor > 0 then
    floors[source] = KEYS[floor]
  end
  results[i] = result
end
for source, floor in pairs(floors) do
  local state = group_of(source)
  local words = {state['last-delivered-id']}
  if state.pending > 0 then
    for _, pending in ipairs(redis.call('XPENDING', source, group, '-', '+', kept)) do
      words[#words + 1] = pending[1]
    end
    if state.pending > kept then
      words[1] = words[#words]
    end
  end
  redis.call('SET', floor, table.concat(words, ' '))
end
return results
