-- Puts an attempt on record: in the stream of all webhooks, in that of its own, and its id in the first of
-- them in the list of its organization's. A key of another kind is named, and keeps it from no other.
-- KEYS: the stream of all, the webhook's, the organization's list. ARGV: about how many the first and the
--       second keep, the fields.
local function add(key, kept, id, ...)
  local added = redis.pcall('XADD', key, 'MAXLEN', '~', kept, id, ...)
  if type(added) == 'table' then return nil, added.err end
  return added
end

local function told(problem, key)
  return problem and redis.error_reply(problem .. ' (' .. key .. ')')
end

local id, all = add(KEYS[1], ARGV[1], '*', unpack(ARGV, 3))
local _, own = add(KEYS[2], ARGV[2], '*', unpack(ARGV, 3))
local list
if id then
  _, list = add(KEYS[3], ARGV[1], id, '', '')
  if list and string.find(list, '^ERR') then
    -- Its ids are greater: those of a stream of all that was removed.
    redis.call('UNLINK', KEYS[3])
    _, list = add(KEYS[3], ARGV[1], id, '', '')
  end
end
return told(all, KEYS[1]) or told(own, KEYS[2]) or told(list, KEYS[3]) or 1
