-- Registers a webhook if neither its id nor its name is taken, and tells everybody.
-- KEYS: the organization's webhooks. ARGV: id, name, JSON, channel, organization.
for id, taken in pairs(names(KEYS[1])) do
  if taken == ARGV[2] then return {'name taken', id} end
end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[3]) == 0 then return {'conflict', ARGV[1]} end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return {'done', ARGV[1]}
