-- Entering what is done in the audit log, prefixed to the scripts that do it. To be called before anything
-- is changed: without room for the entry nothing is.
local function enter(log, entry, most, seconds)
  redis.call('XADD', log, 'MAXLEN', '=', most, '*', 'entry', entry)
  local now = tonumber(redis.call('TIME')[1])
  redis.call('XTRIM', log, 'MINID', '=', string.format('%.0f', (now - tonumber(seconds)) * 1000))
  redis.call('EXPIRE', log, seconds)
end
