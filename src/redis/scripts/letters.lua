-- What the scripts of the index of dead letters share.
-- KEYS: the letters, all of them by time, by when they were seen, the unconfirmed, the void, what is
--       known.
-- ARGV: what the key of an organization's letters begins and ends with, around its name; …
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function whole(number) return string.format('%.0f', number) end

local function entry(id)
  local json = redis.call('HGET', KEYS[1], id)
  return json and cjson.decode(json)
end

-- Of letters whose organization cannot be told there is no list but that of all.
local function own(letter)
  local organization = letter.summary.organization
  if type(organization) == 'string' then return ARGV[1] .. organization .. ARGV[2] end
end

local function remove(id, letter)
  redis.call('HDEL', KEYS[1], id)
  for place = 2, 4 do redis.call('ZREM', KEYS[place], id) end
  local list = own(letter)
  if list then redis.call('ZREM', list, id) end
end

-- The sequence up to which the letters of a delivery are void.
local function void(id)
  local value = redis.call('HGET', KEYS[5], id)
  return value and tonumber(string.match(value, '^%d+'))
end

local function make_void(id, sequence)
  if (void(id) or -1) < sequence then
    redis.call('HSET', KEYS[5], id, sequence .. ' ' .. whole(now()))
  end
end
