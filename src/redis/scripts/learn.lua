-- Makes the index of names anew, from documents that were read, if nothing was written since.
-- KEYS: the organization's webhooks, the index of their names.
-- ARGV: how often the index had changed, how many documents were read, then name and id of each.
if changes() ~= ARGV[1] then return 0 end
if redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[2], ' changes', ARGV[1])
changed(true)
return 1
