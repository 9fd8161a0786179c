-- Notes how often an entry was delivered, if it still belongs to the consumer: before work on it begins that death would count, and
-- less again when the work has ended. KEYS: stream. ARGV: group, consumer, id, times delivered. Returns 1 = it is the consumer's, else 0.
local stream, group, consumer, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local pending = redis.call('XPENDING', stream, group, id, id, 1)[1]
if not pending or pending[2] ~= consumer then return 0 end
redis.call('XCLAIM', stream, group, consumer, 0, id, 'IDLE', 0, 'RETRYCOUNT', ARGV[4], 'JUSTID')
return 1
