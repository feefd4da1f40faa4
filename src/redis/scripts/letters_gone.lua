-- A letter has gone from the queue: so does its entry, unless that is of a newer one.
-- ARGV: …, id, sequence.
local id, sequence = ARGV[3], tonumber(ARGV[4])
local old = entry(id)
if old and old.sequence <= sequence then remove(id, old) end
if void(id) == sequence then redis.call('HDEL', KEYS[5], id) end
