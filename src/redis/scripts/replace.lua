-- Replaces a webhook's document if it is still the one that was read. Enters that and tells everybody,
-- unless there is no entry or no channel for that.
-- KEYS: the organization's webhooks, the index of their names, the webhook's health, the audit log.
-- ARGV: id, JSON read, JSON to store, new name or '', '1' to forget its health, channel,
--       organization, the entry, how many are kept, seconds that they are kept.
local present = redis.call('HGET', KEYS[1], ARGV[1])
if not present then return {'gone', ARGV[1]} end
if present ~= ARGV[2] then return {'conflict', ARGV[1]} end
if ARGV[4] ~= '' then
  if not is_known() then return {'unknown', changes()} end
  local taken = holder(ARGV[4])
  if taken and taken ~= ARGV[1] then return {'name taken', taken} end
end
if ARGV[8] ~= '' then enter(KEYS[4], ARGV[8], ARGV[9], ARGV[10]) end
if ARGV[4] ~= '' then
  forget(name_of(present), ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[4], ARGV[1])
  changed(true)
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[5] == '1' then redis.call('UNLINK', KEYS[3]) end
if ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[6], ARGV[7]) end
return {'done', ARGV[1]}
