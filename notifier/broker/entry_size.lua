-- Part of scripts that send entries: sizes are looked at here, so that an entry that is too large for the process is never sent to it.
-- Returns its fields, or false if it is gone; what is sent in bytes, names, values and lines counted with what they cost beside (pool.py); 0, or
-- the bytes of an entry that has more than `largest`, or too many fields or lines: then some of its fields are sent, with values that are short, and
-- the others empty.
local NAMES, NAME_BYTES, VALUE_BYTES = 50, 100, 256
local EACH_BYTES, LINE_BYTES, MOST_BYTES = 60, 30, 8 * 1024 * 1024

local function size_of(fields)
  local bytes = 0
  for i = 1, #fields do bytes = bytes + #fields[i] end
  return bytes
end

local function cost_of(fields)
  local cost = size_of(fields) + EACH_BYTES * #fields
  for i = 1, #fields do
    local at = string.find(fields[i], '\r\n', 1, true)
    while at and cost <= MOST_BYTES do
      cost = cost + LINE_BYTES
      at = string.find(fields[i], '\r\n', at + 2, true)
    end
  end
  return cost
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

