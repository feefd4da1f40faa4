-- The name of each webhook whose document can be read, by id. Prefixed to the scripts that ask.
local function names(key)
  local found = {}
  local documents = redis.call('HGETALL', key)
  for i = 1, #documents, 2 do
    local readable, document = pcall(cjson.decode, documents[i + 1])
    if readable and type(document) == 'table' and type(document.name) == 'string' then
      found[documents[i]] = string.match(document.name, '^%s*(.-)%s*$')
    end
  end
  return found
end
