-- Takes a notification for one person: the first one wins. What follows happens in the same step, so an accepted action can be
-- neither lost nor doubled: its entry for Postgres and, where the claims workers are asked, their request.
-- The request comes first and the mark last: should a write be refused (memory, wrong type), nobody has taken it and it can be asked again;
-- a request that is there already then comes again under the same id.
-- KEYS: hash of who took it, stream of accepted actions, stream of requests. ARGV: seconds to remember, number of fields and
-- values of the action, these, most requests to keep, then fields and values of the request (none: nothing is asked).
-- Returns {} = taken now, or the fields of the action that was first.
local first = redis.call('HGETALL', KEYS[1])
if #first > 0 then
  return first
end
local width = tonumber(ARGV[2])
if #ARGV > 3 + width then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3 + width], '*', unpack(ARGV, 4 + width))
end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3, 2 + width))
redis.call('HSET', KEYS[1], unpack(ARGV, 3, 2 + width))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {}
