-- Claims the id of a delivery for what follows from one message, of several alike. A record with a
-- sequence has a hand-over behind it.
-- KEYS: the record. ARGV: the hand-out's name, its returns, seconds to keep the claim, 1 to take
-- what shows no hand-over.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner == ARGV[1] then return 'ours' end
if redis.call('HEXISTS', KEYS[1], 'sequence') == 1 then return 'anothers' end
if owner then
  local returns = tonumber(redis.call('HGET', KEYS[1], 'owner_returns') or '') or 0
  if returns >= tonumber(ARGV[2]) then return 'anothers' end
  if ARGV[4] ~= '1' then return 'doubtful' end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'owner_returns', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 'ours'
