-- Registers a webhook if neither its id nor its name is taken and there is room, and tells everybody.
-- KEYS: the organization's webhooks, the index of their names.
-- ARGV: id, name, JSON, channel, organization, how many webhooks there may be.
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return {'too many', ''} end
if not is_known() then return {'unknown', changes()} end
local taken = holder(ARGV[2])
if taken then return {'name taken', taken} end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[3]) == 0 then return {'conflict', ARGV[1]} end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
changed(true)
redis.call('PUBLISH', ARGV[4], ARGV[5])
return {'done', ARGV[1]}
