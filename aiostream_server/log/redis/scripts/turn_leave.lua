-- turn, runs that have left
return redis.call('ZREM', base .. 'turn:' .. ARGV[1], unpack(ARGV, 2))
