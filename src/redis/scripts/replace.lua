-- Replaces a webhook's document if it is still the one that was read, and tells everybody.
-- KEYS: the organization's webhooks, the webhook's health.
-- ARGV: id, JSON read, JSON to store, new name or '', '1' to forget its health, channel,
--       organization.
local present = redis.call('HGET', KEYS[1], ARGV[1])
if not present then return {'gone', ARGV[1]} end
if present ~= ARGV[2] then return {'conflict', ARGV[1]} end
if ARGV[4] ~= '' then
  for id, taken in pairs(names(KEYS[1])) do
    if id ~= ARGV[1] and taken == ARGV[4] then return {'name taken', id} end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[5] == '1' then redis.call('UNLINK', KEYS[2]) end
redis.call('PUBLISH', ARGV[6], ARGV[7])
return {'done', ARGV[1]}
