-- run, node -> the request that was kept with it; nil where there is none, or the run is another process's
local node, request = unpack(redis.call('HMGET', base .. 'run:' .. ARGV[1], 'node', 'request'))
return node == ARGV[2] and request or false
