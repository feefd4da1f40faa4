-- A worker tells how far apart it gets deliveries of a webhook done. The rule is that of Returns::tell in
-- the domain.
-- KEYS: the webhook's calendar. ARGV: microseconds from one to the next, the worker, microseconds for which
--       that counts.
local last = tonumber(redis.call('HGET', KEYS[1], 'end') or '') or 0
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
if last <= now then return end
redis.call('HSET', KEYS[1], 'by:' .. ARGV[2], ARGV[1] .. ' ' .. string.format('%.0f', now))
local counts = math.ceil(tonumber(ARGV[3]) / 1000)
if redis.call('PTTL', KEYS[1]) < counts then redis.call('PEXPIRE', KEYS[1], counts) end
