-- Puts one more delivery of a webhook off, on this server's clock: microseconds from now to when it comes
-- back. The rule is that of Returns::put_off in the domain.
-- KEYS: the webhook's calendar. ARGV: microseconds from one to the next, the worker whose own these are
--       or '' if they are those of all, 1 if it was put off before, microseconds that it is put off for
--       at least, and at most, microseconds for which a worker's own count, milliseconds to keep the
--       calendar after its last time, how many workers there are.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local apart, worker, again = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1'
local soonest, longest, said_for = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local text = function(number) return string.format('%.0f', number) end
local kept, rate, silent = {}, 0, tonumber(ARGV[8]) - 1
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  local other = string.match(name, '^by:(.+)$')
  if not other then
    kept[name] = tonumber(value)
  elseif other ~= worker then
    local its, at = string.match(value, '^(%d+) (%d+)$')
    if its and now < tonumber(at) + said_for then
      rate, silent = rate + 1 / math.max(tonumber(its), 1), silent - 1
    else
      redis.call('HDEL', KEYS[1], name)
    end
  end
end
if worker ~= '' then
  redis.call('HSET', KEYS[1], 'by:' .. worker, text(apart) .. ' ' .. text(now))
  apart = 1 / (rate + (1 + math.max(silent, 0)) / math.max(apart, 1))
end
local first = now + soonest
local taken, last = math.max(kept['taken'] or 0, first), first
if (kept['end'] or 0) > first then
  local scaled = (kept['end'] - first) * apart / math.max(kept['apart'] or apart, 0.001)
  last = first + math.min(scaled, 2 * longest)
end
local slot = last
if again then slot = math.min(taken, last) end
slot = math.floor(slot)
local over = math.max(kept['end'] or 0, kept['free'] or 0, now + said_for)
local is_beyond = slot > now + longest
if not is_beyond then
  local following = slot + apart
  if slot < taken + 2 * apart then taken = math.max(taken, following) end
  last = math.max(last, following)
  -- Each deferral scales what the one before it kept: whole microseconds would not do.
  local exactly = string.format('%.9f', apart)
  redis.call('HSET', KEYS[1], 'taken', text(taken), 'end', text(last), 'apart', exactly)
  over = math.max(over, last)
end
redis.call('PEXPIRE', KEYS[1], math.ceil((over - now) / 1000) + tonumber(ARGV[7]))
if is_beyond then return longest end
return slot - now
