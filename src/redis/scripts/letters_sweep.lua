-- Removes some of what a whole pass did not meet: entries, and void letters. Returns how many it
-- removed; once that is none, the index is known.
-- ARGV: …, entries seen before then were not met, void letters from before then are gone, how many
--       letters were met twice.
local unmet = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[3], 'LIMIT', 0, 500)
for _, id in ipairs(unmet) do
  local old = entry(id)
  if old then remove(id, old) else redis.call('ZREM', KEYS[3], id) end
end
if #unmet > 0 then return #unmet end
local removed = 0
local cursor = '0'
repeat
  local scanned = redis.call('HSCAN', KEYS[5], cursor, 'COUNT', 500)
  cursor = scanned[1]
  for place = 1, #scanned[2], 2 do
    local since = string.match(scanned[2][place + 1], ' (%d+)$')
    if not since or tonumber(since) < tonumber(ARGV[4]) then
      removed = removed + redis.call('HDEL', KEYS[5], scanned[2][place])
    end
  end
until cursor == '0' or removed >= 500
if removed > 0 then return removed end
redis.call('HSET', KEYS[6], 'began', ARGV[4], 'twice', ARGV[5])
return 0
