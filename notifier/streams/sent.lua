-- Part of scripts that send entries: sizes are looked at here, so that an entry that is too large for the process is never sent to it.
-- Returns its fields, or false if it is gone; the bytes of what is sent; 0, or the bytes of an entry that has more than `largest`: then some
-- of its fields are sent, with values that are short, and the others empty.
local NAMES, NAME_BYTES, VALUE_BYTES = 50, 100, 256

local function size_of(fields)
  local bytes = 0
  for i = 1, #fields do bytes = bytes + #fields[i] end
  return bytes
end

local function sent(entry, largest)
  if not entry then return false, 0, 0 end
  local fields = entry[2]
  local bytes = size_of(fields)
  if bytes <= largest then return fields, bytes, 0 end
  local some = {}
  for i = 1, math.min(#fields, 2 * NAMES), 2 do
    some[i] = string.sub(fields[i], 1, NAME_BYTES)
    some[i + 1] = #fields[i + 1] <= VALUE_BYTES and fields[i + 1] or ''
  end
  entry, fields = nil, nil
  -- Lua would keep the whole of it for a long time.
  collectgarbage()
  return some, size_of(some), bytes
end

