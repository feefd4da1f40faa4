-- A delivery was delivered: a letter of it is still in the queue, and void.
-- ARGV: …, id, sequence.
local id = ARGV[3]
local old = entry(id)
if old and old.sequence <= tonumber(ARGV[4]) then
  make_void(id, old.sequence)
  remove(id, old)
end
