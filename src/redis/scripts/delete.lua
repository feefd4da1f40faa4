-- Removes a webhook with its attempts, its health, its calendar, its pauses, what workers say of it
-- and its counts, if its document is still the one that was read, enters that, and tells everybody.
-- KEYS: the organization's webhooks, the index of their names, the audit log, the webhook's attempts, its
--       health, its calendar, its pauses, what workers say of it, its counts.
-- ARGV: id, JSON read, channel, organization, the entry, how many are kept, seconds that they are kept.
local present = redis.call('HGET', KEYS[1], ARGV[1])
if not present then return {'gone', ARGV[1]} end
if present ~= ARGV[2] then return {'conflict', ARGV[1]} end
local known = is_known()
enter(KEYS[3], ARGV[5], ARGV[6], ARGV[7])
redis.call('HDEL', KEYS[1], ARGV[1])
forget(name_of(present), ARGV[1])
changed(known)
redis.call('UNLINK', unpack(KEYS, 4))
redis.call('PUBLISH', ARGV[3], ARGV[4])
return {'done', ARGV[1]}
