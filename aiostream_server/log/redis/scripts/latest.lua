-- conversation's digest -> a run, or nil
return redis.call('GET', base .. 'latest:' .. ARGV[1])
