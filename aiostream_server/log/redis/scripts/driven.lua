-- node -> the live runs that it drives, as Redis knows them
return redis.call('SMEMBERS', base .. 'node:' .. ARGV[1] .. ':runs')
