-- Keeps a delivery's state under its id, unless a later message of it is settled already: a
-- worker that lost its message and finishes late must not turn the record back. The bodies of an
-- organization have a budget: beyond it the oldest go, and their states stay.
-- KEYS: the record; where there is a body, also the organization's bodies by the time when their
--       records expire, and their sizes, with the sum under an empty name.
-- ARGV: sequence, seconds to keep the record at least; where there is a body, also the budget in
--       bytes (below zero: so many bytes had no room, and the body is left out), what the keys of records begin with, the delivery's id, and field, value, …, of
--       which the body is the last.
local settled = tonumber(redis.call('HGET', KEYS[1], 'sequence') or '') or 0
if settled > tonumber(ARGV[1]) then return 0 end
local seconds = tonumber(ARGV[2])
local function keep()
  if redis.call('TTL', KEYS[1]) < seconds then redis.call('EXPIRE', KEYS[1], seconds) end
end
if #KEYS == 1 then
  redis.call('HSET', KEYS[1], 'sequence', ARGV[1])
  keep()
  return 1
end

local budget, size, id = tonumber(ARGV[3]), #ARGV[#ARGV], ARGV[5]
local fits = size <= budget
local sums = redis.call('HMGET', KEYS[3], '', id)
local total = (tonumber(sums[1] or '') or 0) - (tonumber(sums[2] or '') or 0)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function drop(other)
  redis.call('ZREM', KEYS[2], other)
  redis.call('HDEL', KEYS[3], other)
  redis.call('HDEL', ARGV[4] .. other, 'body')
end
-- Those whose records have expired come up first, and are dropped with what is over the budget.
local function drop_oldest()
  local expired = 0
  while true do
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    if #oldest == 0 or oldest[1] == id then
      -- Nothing else is kept, whatever the sum said.
      total = fits and size or 0
      break
    end
    if total <= budget then
      if tonumber(oldest[2]) > now or expired == 100 then break end
      expired = expired + 1
    end
    total = total - (tonumber(redis.call('HGET', KEYS[3], oldest[1]) or '') or 0)
    drop(oldest[1])
  end
end

if budget < 0 then
  -- There was no room for a body of so many bytes. As many go first, for a script that has written
  -- something is let write more.
  budget = math.max(total + budget, 0)
  if redis.call('ZCARD', KEYS[2]) > 0 then
    drop(id)
    drop_oldest()
  end
end
-- Else written first: where there is no room at all, this fails before anything is changed.
redis.call('HSET', KEYS[1], 'sequence', ARGV[1], unpack(ARGV, 6, fits and #ARGV or #ARGV - 2))
keep()
if fits then
  -- It is the newest now, so it comes up only once all others are gone.
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + seconds * 1000000), id)
  total = total + size
else
  drop(id)
end
drop_oldest()
total = string.format('%.0f', total)
if fits then
  redis.call('HSET', KEYS[3], '', total, id, size)
else
  redis.call('HSET', KEYS[3], '', total)
end
-- A day longer than the records, so that this need not be done each time.
if redis.call('TTL', KEYS[3]) < seconds then
  redis.call('EXPIRE', KEYS[2], seconds + 86400)
  redis.call('EXPIRE', KEYS[3], seconds + 86400)
end
return 1
