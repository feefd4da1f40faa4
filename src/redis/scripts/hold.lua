-- Puts up what a worker says of a webhook whose deliveries it holds back, or takes that down, if the
-- webhook is registered.
-- KEYS: the organization's webhooks, what is said of the webhook.
-- ARGV: id, worker, JSON or '' if there is nothing to say, milliseconds for which that stands.
if ARGV[3] == '' then return redis.call('HDEL', KEYS[2], ARGV[2]) end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return redis.call('PEXPIRE', KEYS[2], ARGV[4])
