-- Registers a webhook if neither its id nor its name is taken and there is room, enters that, and tells
-- everybody.
-- KEYS: the organization's webhooks, the index of their names, its audit log.
-- ARGV: id, name, JSON, channel, organization, how many webhooks there may be, the entry, how many are
--       kept, seconds that they are kept.
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return {'too many', ''} end
if not is_known() then return {'unknown', changes()} end
local taken = holder(ARGV[2])
if taken then return {'name taken', taken} end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return {'conflict', ARGV[1]} end
enter(KEYS[3], ARGV[7], ARGV[8], ARGV[9])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
changed(true)
redis.call('PUBLISH', ARGV[4], ARGV[5])
return {'done', ARGV[1]}
