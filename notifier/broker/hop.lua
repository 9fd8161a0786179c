-- Moves entries between streams in one step. Per entry: if it was still pending (no other process has moved it), its targets are there
-- afterwards, it is acknowledged and, if asked, deleted. A crash leaves an entry before or after, never between.
-- An entry to be deleted moves too when its group was lost, or was made again and has not come to it: what was posted is not posted again.
-- A command that is refused half-way does not take back what the script has written. So rights and the state of the server are tried first,
-- with commands that change nothing (no entry has the id 0-0); mark and targets are written next, and taken back when one of them is
-- refused or somebody else has moved the entry; XACK and XDEL come last.
-- Commands after an entry's own raise nothing: the caller must learn what has happened.
-- The XACK that is tried first has another use: Redis lets a script that has called a command that writes continue when memory is full.
-- A source that keeps its entries has a floor, written here: "id pending-id …", everything up to the id is acknowledged except
-- what is pending. ensure_group.lua makes a lost group again from it.
-- KEYS: every stream, mark and floor that is touched. ARGV: group, pending ids kept at most, number of entries, then per entry:
--   source key, entry id, 1 = delete it once it is acknowledged / 0 = keep it, mark key or 0, mark seconds, floor key or 0,
--   number of targets, then per target: its key, number of fields and values, fields and values. Keys are indexes into KEYS.
-- Returns per entry 1 = moved, 0 = was not pending, 2 = dropped: its mark was there already, or a text: "command key error", it is refused
-- and nothing has changed. An error in place of all: nothing has changed. With replies.lua before it.
local group, kept, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function of_one_key(err)
  return has(err, 'WRONGTYPE') or has(err, 'NOGROUP') or has(err, 'no such key')
end

-- Returns why a command is refused for every entry.
local function refused(right, ...)
  local err = error_of(redis.pcall(...))
  if err and not of_one_key(err) then
    if lacks_right(err) then
      return 'NOPERM this user lacks +' .. right
    end
    return err
  end
end

-- Returns the reply, or nil and the text for this entry.
local function try(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  local err = error_of(reply)
  -- The id of an event is its producer's: it may say anything.
  if err then return nil, string.lower(command) .. ' ' .. string.gsub(key, ':seen:.*$', ':seen:*') .. ' ' .. err end
  return reply
end

-- Returns the group, nil when it is not there.
local function group_of(source)
  local infos = redis.pcall('XINFO', 'GROUPS', source)
  local err = error_of(infos)
  if err then return nil, not of_one_key(err) and 'xinfo|groups ' .. source .. ' ' .. err or nil end
  for _, info in ipairs(infos) do
    local found = members(info)
    if found.name == group then return found end
  end
end

-- Acknowledges an entry; returns 1 = it may move, 0 = somebody else has moved it.
local function acknowledge(source, id, delete)
  local done = redis.pcall('XACK', source, group, id)
  if done == 1 or (done == 0 and not delete) then return done end
  if done ~= 0 then return nil, 'xack ' .. source .. ' ' .. error_of(done) end
  local state, why = group_of(source)
  if why then return nil, why end
  if state and not before(state['last-delivered-id'], id) then return 0 end
  local there
  there, why = try('XRANGE', source, id, id)
  return there and #there, why
end

local first, floor = KEYS[tonumber(ARGV[4])], tonumber(ARGV[9])
local fault = refused('xack', 'XACK', first, group, '0-0') or refused('xdel', 'XDEL', first, '0-0')
if not fault and floor > 0 then
  -- A floor of 0-0 says what no floor says: nothing is acknowledged.
  fault = refused('set', 'SET', KEYS[floor], '0-0', 'NX')
    or refused('xinfo|groups', 'XINFO', 'GROUPS', first)
    or refused('xpending', 'XPENDING', first, group, '-', '+', '1')
end
if fault then return redis.error_reply(fault) end

local at = 4
local results, floors, added_to, added = {}, {}, {}, {}
for i = 1, n do
  local source, id, delete = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2] == '1'
  local mark, ttl = KEYS[tonumber(ARGV[at + 3])], ARGV[at + 4]
  local floor, targets = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  at = at + 7
  local new, why = true, nil
  if mark then
    new, why = try('SET', mark, id, 'NX', 'EX', ttl)
    if new == false then
      -- A value of another program says nothing of this event.
      local _
      _, why = try('GET', mark)
    end
  end
  local count = 0
  for _ = 1, targets do
    local target, width = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
    if new and not why then
      local added_id = redis.pcall('XADD', target, '*', unpack(ARGV, at + 2, at + 1 + width))
      if type(added_id) == 'table' then
        why = 'xadd ' .. target .. ' ' .. error_of(added_id)
      else
        count = count + 1
        added_to[count], added[count] = target, added_id
      end
    end
    at = at + 2 + width
  end
  local result
  if not why then
    result, why = acknowledge(source, id, delete)
  end
  if result == 1 then
    if delete then redis.pcall('XDEL', source, id) end
    if floor > 0 then floors[source] = KEYS[floor] end
    if not new then result = 2 end
  else
    for j = 1, count do redis.pcall('XDEL', added_to[j], added[j]) end
    -- A time in the past removes it, with the right to set it.
    if mark and new then redis.pcall('SET', mark, '', 'PXAT', '1') end
  end
  results[i] = why or result
end

for source, floor in pairs(floors) do
  local state = group_of(source)
  local pending = state and redis.pcall('XPENDING', source, group, '-', '+', kept)
  if state and not error_of(pending) then
    local words = {state['last-delivered-id']}
    for _, each in ipairs(pending) do words[#words + 1] = each[1] end
    if state.pending > kept then words[1] = words[#words] end
    redis.pcall('SET', floor, table.concat(words, ' '))
  end
end
return results
