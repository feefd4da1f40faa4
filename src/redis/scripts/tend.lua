-- Run after something of a webhook was written: if the webhook is no longer registered, everything
-- of it goes, for an attempt may end after its webhook was deleted. Otherwise its attempts are kept
-- on; without new ones they go in the end, whoever removed the webhook, and however.
-- KEYS: the organization's webhooks, the webhook's attempts, its health, the list of the organization's
--       attempts, the stream of all.
-- ARGV: id, seconds to keep attempts, beginnings of the keys of its two counts, first and last day
--       of those.

-- Not with every batch: an expiry is written to disk and to replicas.
local function keep(key)
  local seconds = tonumber(ARGV[2])
  if redis.call('TTL', key) >= seconds - 86400 then return end
  redis.call('EXPIRE', key, seconds)
end

-- The list of the organization's attempts: without what the stream of all has no longer. Whatever is the
-- matter with it, the rest is done.
local function tend_list()
  keep(KEYS[4])
  local first = redis.call('XRANGE', KEYS[5], '-', '+', 'COUNT', 1)[1]
  if first then redis.call('XTRIM', KEYS[4], 'MINID', '~', first[1]) end
end
pcall(tend_list)
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  keep(KEYS[2])
  return 1
end
redis.call('UNLINK', KEYS[2], KEYS[3])
for day = tonumber(ARGV[5]), tonumber(ARGV[6]) do
  redis.call('UNLINK', ARGV[3] .. day, ARGV[4] .. day)
end
return 0
