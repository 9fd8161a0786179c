-- Moves entries between streams in one step. Per entry: only if XACK says it was still pending (nobody else has
-- moved it) are its targets written and, if asked, the source deleted. A crash leaves an entry before or after, never between.
-- An entry to be deleted moves too when its group was lost, or was made again and has not come to it: what was posted is not posted again.
-- XACK comes first: it frees memory, and Redis lets a script that has written go on when memory is full.
-- A source that keeps its entries has a floor, written here: "id pending-id …", everything up to the id is acknowledged except
-- what is pending. ensure.lua makes a lost group again from it.
-- An urgent entry may go ahead of those that the group has not read yet: its targets are written and its id kept in the sorted set
-- "ahead" (by its milliseconds) until the group comes to it and acknowledges it, however much later. It goes nowhere a second time then.
-- KEYS: every stream, mark, floor and set that is touched. ARGV: group, pending ids kept at most, ids ahead at most, number of entries, then per entry:
--   source key, entry id, how ("delete" or "keep" it once it is acknowledged, or "ahead" of the group), mark key or 0, mark seconds,
--   floor key or 0, ahead key or 0, number of targets, then per target: its key, number of fields and values, fields and values.
--   Keys are indexes into KEYS.
-- Returns per entry 1 = moved, 0 = was not pending (to go ahead: the group has read it, or it is ahead), 2 = dropped: its mark was there already
-- (to go ahead: left to the group, which will drop it), 3 = acknowledged: it had gone ahead.
local group, kept, most_ahead, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local at = 5

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

local used = {}
local function in_use(ahead)
  if used[ahead] == nil then used[ahead] = redis.call('EXISTS', ahead) == 1 end
  return used[ahead]
end

local function may_go_ahead(source, id, ahead)
  if not group_of(source) or not unread(source, id) then return 0 end
  if redis.call('ZSCORE', ahead, id) or redis.call('ZCARD', ahead) >= most_ahead then return 0 end
  return #redis.call('XRANGE', source, id, id)
end

local results = {}
local floors = {}
for i = 1, n do
  local source, id, how = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  local mark, ttl = tonumber(ARGV[at + 3]), ARGV[at + 4]
  local floor, ahead, targets = tonumber(ARGV[at + 5]), KEYS[tonumber(ARGV[at + 6])], tonumber(ARGV[at + 7])
  local delete = how == 'delete'
  at = at + 8
  local result
  if how == 'ahead' then
    result = may_go_ahead(source, id, ahead)
  else
    result = redis.call('XACK', source, group, id)
    if result == 0 and delete and unread(source, id) then
      result = #redis.call('XRANGE', source, id, id)
    end
    if result == 1 and ahead and in_use(ahead) and redis.call('ZREM', ahead, id) == 1 then
      result = 3
      -- A second one of its id may stand further behind than the first mark lasts.
      if mark > 0 then redis.call('SET', KEYS[mark], id, 'EX', ttl) end
    end
  end
  if result == 1 and mark > 0 and not redis.call('SET', KEYS[mark], id, 'NX', 'EX', ttl) then
    result = 2
  end
  if result == 1 and how == 'ahead' then
    redis.call('ZADD', ahead, string.match(id, '^%d+'), id)
    used[ahead] = true
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
  if result > 0 and floor > 0 and how ~= 'ahead' then
    floors[source] = {KEYS[floor], ahead}
  end
  results[i] = result
end
for source, of in pairs(floors) do
  local floor, ahead = of[1], of[2]
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
  if in_use(ahead) then
    -- Of what was trimmed away the group is never told; it has passed it all the same.
    redis.call('ZREMRANGEBYSCORE', ahead, '-inf', '(' .. string.match(words[2] or words[1], '^%d+'))
  end
end
return results
