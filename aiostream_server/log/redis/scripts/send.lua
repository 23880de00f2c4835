-- node, message -> how many got it
return redis.call('PUBLISH', base .. 'node:' .. ARGV[1], ARGV[2])
