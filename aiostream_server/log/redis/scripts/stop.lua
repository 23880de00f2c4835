-- run, reason: ask the process that drives it to end it
local key = base .. 'run:' .. ARGV[1]
local node, finished = unpack(redis.call('HMGET', key, 'node', 'finished'))
if not node or finished then return 0 end
redis.call('HSETNX', base .. 'node:' .. node .. ':stops', ARGV[1], ARGV[2])
return redis.call('PUBLISH', base .. 'node:' .. node, cmsgpack.pack({'stop', ARGV[1], ARGV[2]}))
