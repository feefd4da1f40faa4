-- How much there is in the index.
local oldest = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')[2]
local known = redis.call('HMGET', KEYS[6], 'began', 'twice')
return {
  redis.call('HLEN', KEYS[1]),
  redis.call('HLEN', KEYS[5]),
  redis.call('ZCARD', KEYS[4]),
  oldest and math.floor((now() - tonumber(oldest)) / 1000000) or false,
  known[1] and 1 or 0,
  tonumber(known[2] or '0'),
  redis.call('GET', KEYS[7]),
}
