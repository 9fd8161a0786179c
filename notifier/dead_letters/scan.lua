-- Looks through a stream of dead letters and returns what a list shows of those that are wanted: all fields but the event,
-- which may be large. KEYS: the dead letters. ARGV: XRANGE or XREVRANGE, its two ends, how many to return at most, how many to
-- look at at most, then fields and the values they must have.
-- Returns {1 = looked at all of them / 0, id of the last one looked at or '', {{id, {field, value, …}}, …}}.
local command, start, stop = ARGV[1], ARGV[2], ARGV[3]
local most, looks = tonumber(ARGV[4]), tonumber(ARGV[5])
local found, last = {}, ''
local MOST_FIELDS, MOST_BYTES = 100, 4096
while looks > 0 do
  local asked = math.min(looks, 200)
  local page = redis.call(command, KEYS[1], start, stop, 'COUNT', asked)
  for _, entry in ipairs(page) do
    local fields, shown = {}, {}
    for i = 1, #entry[2], 2 do
      fields[entry[2][i]] = entry[2][i + 1]
      if entry[2][i] ~= 'event' then
        shown[#shown + 1] = entry[2][i]
        shown[#shown + 1] = entry[2][i + 1]
      end
    end
    -- Whoever may add to this stream must not be able to fill a process's memory.
    if #shown > 2 * MOST_FIELDS then shown = {'reason', fields.reason or '', 'detail', 'has too many fields'} end
    for i = 2, #shown, 2 do shown[i] = string.sub(shown[i], 1, MOST_BYTES) end
    local wanted = true
    for i = 6, #ARGV, 2 do
      if fields[ARGV[i]] ~= ARGV[i + 1] then wanted = false end
    end
    last = entry[1]
    if wanted then
      found[#found + 1] = {last, shown}
      if #found == most then return {0, last, found} end
    end
  end
  if #page < asked then return {1, last, found} end
  looks = looks - asked
  start = '(' .. last
end
return {0, last, found}
