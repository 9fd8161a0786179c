-- Moves entries between streams in one step. Per entry: only if XACK says it was still pending (nobody else has
-- moved it) are its targets written and, if asked, the source deleted. A crash leaves an entry before or after, never between.
-- XACK comes first: it frees memory, and Redis lets a script that has written go on when memory is full.
-- KEYS: every stream and mark that is touched. ARGV: group, number of entries, then per entry:
--   source key, entry id, delete 0/1, mark key or 0, mark seconds, number of targets,
--   then per target: its key, number of fields and values, fields and values.  Keys are indexes into KEYS.
-- Returns per entry 1 = moved, 0 = was not pending, 2 = dropped: its mark was there already.
local group, n = ARGV[1], tonumber(ARGV[2])
local at = 3
local results = {}
for i = 1, n do
  local source, id, delete = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  local mark, ttl, targets = tonumber(ARGV[at + 3]), ARGV[at + 4], tonumber(ARGV[at + 5])
  at = at + 6
  local result = redis.call('XACK', source, group, id)
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
  if result > 0 and delete == '1' then
    redis.call('XDEL', source, id)
  end
  results[i] = result
end
return results
