-- Notes that a webhook's endpoint asked to be left alone, or need not be any more, and tells the other
-- workers.
-- KEYS: the organization's webhooks, the webhook's pauses.
-- ARGV: id, the endpoint's fingerprint, milliseconds or 0 if that is over, channel, what to tell, how
--       many endpoints of one webhook are kept.
local wait = tonumber(ARGV[3])
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[2]) end
if wait == 0 then
  redis.call('HDEL', KEYS[2], ARGV[2])
elseif redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  local time = redis.call('TIME')
  local till = time[1] * 1000 + math.floor(time[2] / 1000) + wait
  local before = tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '') or 0
  if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) then redis.call('DEL', KEYS[2]) end
  redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', math.max(before, till)))
  if redis.call('PTTL', KEYS[2]) < wait then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
end
return redis.call('PUBLISH', ARGV[4], ARGV[5])
