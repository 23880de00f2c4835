-- node: it ends, and drives no run any more
redis.call('ZREM', base .. 'nodes', ARGV[1])
redis.call('DEL', base .. 'node:' .. ARGV[1] .. ':stops', base .. 'node:' .. ARGV[1] .. ':call')
give_back_all(ARGV[1])
return 1
