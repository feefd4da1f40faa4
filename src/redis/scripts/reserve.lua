-- Reserves times for requests to a webhook with a rate limit, on this server's clock. The rule is that
-- of Calendar::reserve in the domain.
-- KEYS: the webhook's calendar. ARGV: microseconds from one request to the next, times wanted,
--       microseconds that may be reserved ahead, milliseconds to keep the calendar after its last time.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local apart, wanted, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'free', 'in_all', 'end')
local horizon = now + ahead
local first = math.min(math.max(tonumber(kept[1] or '') or 0, now), horizon + apart)
local in_all = tonumber(kept[2] or '') or 0
local given = 0
if first <= horizon then
  local free = math.floor((horizon - first) / apart) + 1
  given = math.min(wanted, math.ceil(free / 2))
end
if given == 0 then return {0, math.max(first - horizon, 0), in_all} end
in_all = in_all + given
local free = first + given * apart
redis.call('HSET', KEYS[1], 'free', string.format('%.0f', free), 'in_all', string.format('%.0f', in_all))
local last = math.max(free, tonumber(kept[3] or '') or 0)
redis.call('PEXPIRE', KEYS[1], math.ceil((last - now) / 1000) + tonumber(ARGV[4]))
return {given, first - now, in_all}
