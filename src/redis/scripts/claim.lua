-- Claims the id of a delivery for what follows from one message, of several alike.
-- KEYS: the record. ARGV: the hand-out's name, seconds to keep the claim.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner == ARGV[1] then return 1 end
if owner or redis.call('HEXISTS', KEYS[1], 'sequence') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
