-- Part of scripts that send entries: sizes are looked at here, so that an entry that is too large for the process is never sent to it.
-- Returns its fields, or false if it is gone; what is sent in bytes, names and values counted with what they cost beside; 0, or the bytes of
-- an entry that has more than `largest`, or too many fields: then some of its fields are sent, with values that are short, and the others empty.
local NAMES, NAME_BYTES, VALUE_BYTES = 50, 100, 256
local EACH_BYTES, MOST_BYTES = 60, 8 * 1024 * 1024

local function size_of(fields)
  local bytes = 0
  for i = 1, #fields do bytes = bytes + #fields[i] end
  return bytes
end

local function cost_of(fields)
  return size_of(fields) + EACH_BYTES * #fields
end

local function sent(entry, largest)
  if not entry then return false, 0, 0 end
  local fields = entry[2]
  local bytes, cost = size_of(fields), cost_of(fields)
  if bytes <= largest and cost <= MOST_BYTES then return fields, cost, 0 end
  local some = {}
  for i = 1, math.min(#fields, 2 * NAMES), 2 do
    some[i] = string.sub(fields[i], 1, NAME_BYTES)
    some[i + 1] = #fields[i + 1] <= VALUE_BYTES and fields[i + 1] or ''
  end
  entry, fields = nil, nil
  -- Lua would keep the whole of it for a long time.
  collectgarbage()
  return some, cost_of(some), bytes
end

