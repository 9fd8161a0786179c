-- Asks whether a hop of this event stream would find room, without adding anything: a command that adds is refused when Redis is full.
-- While the slot of both keys is on its way to another master this is refused as a hop is: one of them never exists (TRYAGAIN).
-- KEYS: the event stream, a stream that never exists.
-- A key of another type is refused last: Redis looks before at all that stops a hop.
local reply = redis.pcall('XADD', KEYS[2], 'NOMKSTREAM', '*', 'x', '')
if type(reply) == 'table' and reply.err and not string.find(tostring(reply.err), 'WRONGTYPE', 1, true) then return reply end
return 1
