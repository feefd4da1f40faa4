-- Keeps a delivery's state under its id, unless a later message of it is settled already: a
-- worker that lost its message and finishes late must not turn the record back.
-- KEYS: the record. ARGV: sequence, seconds to keep it at least, then field, value, …
local settled = tonumber(redis.call('HGET', KEYS[1], 'sequence') or '') or 0
if settled > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'sequence', ARGV[1], unpack(ARGV, 3))
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1
