-- Enters a letter, unless it is void: "expect" before it is published, "confirm" after that, "see"
-- when it is met in the queue. Returns 1 if it has an entry now.
-- ARGV: …, which of the three, id, sequence, when it was given up, JSON.
local how, id, sequence = ARGV[3], ARGV[4], tonumber(ARGV[5])
if (void(id) or -1) >= sequence then
  redis.call('ZREM', KEYS[4], id)
  return 0
end
local old = entry(id)
if old and old.sequence > sequence then return 0 end
-- First what takes room: where there is none this fails, and has changed nothing.
redis.call('HSET', KEYS[1], id, ARGV[7])
if old then
  local list = own(old)
  if list then redis.call('ZREM', list, id) end
  if old.sequence < sequence then make_void(id, old.sequence) end
end
redis.call('ZADD', KEYS[2], ARGV[6], id)
redis.call('ZADD', KEYS[3], whole(now()), id)
local list = own(cjson.decode(ARGV[7]))
if list then redis.call('ZADD', list, ARGV[6], id) end
if how == 'expect' then
  if not old or old.sequence < sequence then redis.call('ZADD', KEYS[4], whole(now()), id) end
else
  redis.call('ZREM', KEYS[4], id)
end
return 1
