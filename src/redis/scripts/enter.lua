-- Enters something in an audit log.
-- KEYS: the log. ARGV: the entry, how many are kept, seconds that they are kept.
enter(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 1
