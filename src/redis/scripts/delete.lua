-- Removes a webhook with its attempts and its health, and tells everybody.
-- KEYS: the organization's webhooks, the webhook's attempts, its health.
-- ARGV: id, channel, organization.
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('UNLINK', KEYS[2], KEYS[3])
if removed == 1 then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return removed
