-- Run after something of a webhook was written: if the webhook is no longer registered, everything
-- of it goes, for an attempt may end after its webhook was deleted. Otherwise its attempts are kept
-- on; without new ones they go in the end, whoever removed the webhook, and however.
-- KEYS: the organization's webhooks, the webhook's attempts, its health.
-- ARGV: id, seconds to keep attempts, beginnings of the keys of its two counts, first and last day
--       of those.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  local seconds = tonumber(ARGV[2])
  -- Not with every batch: an expiry is written to disk and to replicas.
  if redis.call('TTL', KEYS[2]) < seconds - 86400 then redis.call('EXPIRE', KEYS[2], seconds) end
  return 1
end
redis.call('UNLINK', KEYS[2], KEYS[3])
for day = tonumber(ARGV[5]), tonumber(ARGV[6]) do
  redis.call('UNLINK', ARGV[3] .. day, ARGV[4] .. day)
end
return 0
