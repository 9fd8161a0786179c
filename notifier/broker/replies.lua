-- Part of scripts: reads replies of Redis.

local function members(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end

-- Returns a stream's consumer group; nil when it has no such group.
local function group_named(stream, name)
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = members(info)
    if group.name == name then return group end
  end
end

-- Returns the text of an error; nil of another reply. Redis 6.2 writes the place in the script before it.
local function error_of(reply)
  if type(reply) == 'table' and reply.err then
    return (string.gsub(tostring(reply.err), '^@user_script: ?%d+: ?%-?', ''))
  end
end

local function has(text, words)
  return string.find(text, words, 1, true) ~= nil
end

local function lacks_right(err)
  return has(err, "can't run") or has(err, 'permission')
end

-- Tells whether an entry id comes before another.
local function before(a, b)
  local ms_a, seq_a = string.match(a, '(%d+)-(%d+)')
  local ms_b, seq_b = string.match(b, '(%d+)-(%d+)')
  if ms_a ~= ms_b then
    return #ms_a < #ms_b or (#ms_a == #ms_b and ms_a < ms_b)
  end
  return #seq_a < #seq_b or (#seq_a == #seq_b and seq_a < seq_b)
end

