-- Notes a failure and says since when there has been nothing else.
-- KEYS: the webhook's health. ARGV: now in milliseconds, seconds to keep the record.
local succeeded = tonumber(redis.call('HGET', KEYS[1], 'last_success') or '')
local since = tonumber(redis.call('HGET', KEYS[1], 'failing_since') or '')
if not since or (succeeded and succeeded >= since) then
  since = tonumber(ARGV[1])
  redis.call('HSET', KEYS[1], 'failing_since', ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return since
