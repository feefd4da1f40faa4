-- Begins a session. Of those with one token so many go on, the last that began.
-- KEYS: the session, the sessions of its token by when they began.
-- ARGV: what is kept of it, for how many milliseconds, its id, how many go on, what the key of a session
--       begins with, for how many milliseconds it is known which there are.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
-- Those that are over leave their place first.
if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[4]) then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    if redis.call('EXISTS', ARGV[5] .. id) == 0 then redis.call('ZREM', KEYS[2], id) end
  end
end
local over = redis.call('ZCARD', KEYS[2]) - ARGV[4]
if over > 0 then
  local first = redis.call('ZPOPMIN', KEYS[2], over)
  for place = 1, #first, 2 do redis.call('UNLINK', ARGV[5] .. first[place]) end
end
return 1
