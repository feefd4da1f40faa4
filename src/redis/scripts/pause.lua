-- Notes that a webhook's endpoint asked to be left alone, or need not be any more, and tells the other
-- workers.
-- KEYS: the organization's webhooks, the webhook's pause.
-- ARGV: id, the endpoint's fingerprint, milliseconds or 0 if that is over, channel, what to tell.
local wait = tonumber(ARGV[3])
local same = redis.call('GET', KEYS[2]) == ARGV[2]
if wait == 0 then
  if same then redis.call('DEL', KEYS[2]) end
elseif redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  if not same or redis.call('PTTL', KEYS[2]) < wait then
    redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
  end
end
return redis.call('PUBLISH', ARGV[4], ARGV[5])
