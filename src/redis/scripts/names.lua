-- The index of names, prefixed to the scripts that work with it. A look at each document instead would
-- cost more the more there are. Other programs may write documents and know nothing of it: so it says of
-- how many it was made, and what it says of a name is held against the document.
-- KEYS: the organization's webhooks, the index.
local function is_known()
  return (tonumber(redis.call('HGET', KEYS[2], ' webhooks')) or 0) == redis.call('HLEN', KEYS[1])
end

local function changes() return redis.call('HGET', KEYS[2], ' changes') or '0' end

local function name_of(document)
  local readable, fields = pcall(cjson.decode, document or '')
  if readable and type(fields) == 'table' and type(fields.name) == 'string' then
    return string.match(fields.name, '^%s*(.-)%s*$')
  end
end

-- The webhook that has the name.
local function holder(name)
  local id = redis.call('HGET', KEYS[2], name)
  if id and name_of(redis.call('HGET', KEYS[1], id)) == name then return id end
end

local function forget(name, id)
  if name and redis.call('HGET', KEYS[2], name) == id then redis.call('HDEL', KEYS[2], name) end
end

-- After a change that began with an index that was known, or not.
local function changed(known)
  local webhooks = redis.call('HLEN', KEYS[1])
  if webhooks == 0 then return redis.call('DEL', KEYS[2]) end
  redis.call('HINCRBY', KEYS[2], ' changes', 1)
  -- Counts that are equal by accident must not make it pass for known.
  redis.call('HSET', KEYS[2], ' webhooks', known and webhooks or -1)
end
