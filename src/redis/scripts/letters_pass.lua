-- Begins a pass, says how far one is, or ends it, if no other has taken its place. Returns when it
-- began, or 0.
-- KEYS: …, the pass. ARGV: …, token, looked at, total, for how many milliseconds it stands.
local current = redis.call('GET', KEYS[7])
local token = ARGV[3]
if current and string.sub(current, 1, #token) ~= token then return 0 end
if ARGV[6] == '0' then
  redis.call('DEL', KEYS[7])
else
  redis.call('SET', KEYS[7], token .. ' ' .. ARGV[4] .. ' ' .. ARGV[5], 'PX', ARGV[6])
end
return whole(now())
