-- Asks whether a hop of this event stream would find room, without adding anything: a command that adds is refused when Redis is full.
-- While the slot of both keys is on its way to another master this is refused as a hop is: one of them never exists (TRYAGAIN).
-- KEYS: the event stream, a stream that never exists.
redis.call('XADD', KEYS[2], 'NOMKSTREAM', '*', 'x', '')
return 1
