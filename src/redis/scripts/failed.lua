-- Notes a failure and tells the streak of failures that it belongs to: since when, until when, how
-- many. The rule is that of Streak::after_failure in the domain.
-- Of a webhook that is not registered nothing is kept.
-- KEYS: the webhook's health, the organization's webhooks. ARGV: now in milliseconds, milliseconds of
--       silence that end a streak, seconds to keep the record, id.
if redis.call('HEXISTS', KEYS[2], ARGV[4]) == 0 then
  return {tonumber(ARGV[1]), tonumber(ARGV[1]), 1}
end
local fields = redis.call('HMGET', KEYS[1], 'last_success', 'failing_since', 'last_failure', 'failures')
local function number(field) return tonumber(fields[field] or '') end
local now, succeeded, since, last = tonumber(ARGV[1]), number(1), number(2), number(3)
local attempts = number(4) or 0
local goes_on = since and last and not (succeeded and succeeded >= since)
  and now - last <= tonumber(ARGV[2])
if goes_on then
  last = math.max(last, now)
else
  since, last, attempts = now, now, 0
end
attempts = attempts + 1
local function text(value) return string.format('%.0f', value) end
redis.call('HSET', KEYS[1], 'failing_since', text(since), 'last_failure', text(last),
  'failures', text(attempts))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {since, last, attempts}
