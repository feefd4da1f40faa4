-- What is settled of a message that came again and is known by its content alone. A mark counts for
-- one message: it becomes that of this hand-out, if it was of one with fewer returns, as an earlier
-- hand-out of the same message was. Of several the closest, so that the others are left for those
-- that came back less often.
-- KEYS: the marks. ARGV: the hand-out's name, its returns. Returns the webhooks.
local own, returns = ARGV[1], tonumber(ARGV[2])
local mine, free = {}, {}
local marks = redis.call('HGETALL', KEYS[1])
for i = 1, #marks, 2 do
  local webhook, name = string.match(marks[i], '^(%S+) (%S+)$')
  local before = tonumber(marks[i + 1])
  if webhook and name == own then
    mine[webhook] = true
  elseif webhook and before < returns and (not free[webhook] or free[webhook][2] < before) then
    free[webhook] = {marks[i], before}
  end
end
for webhook, mark in pairs(free) do
  if not mine[webhook] then
    redis.call('HDEL', KEYS[1], mark[1])
    redis.call('HSET', KEYS[1], webhook .. ' ' .. own, returns)
    mine[webhook] = true
  end
end
local found = {}
for webhook in pairs(mine) do found[#found + 1] = webhook end
return found
