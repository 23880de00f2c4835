-- start, run: the run is not to be found any more
local key = base .. 'start:' .. ARGV[1]
if redis.call('HGET', key, 'run') == ARGV[2] then return redis.call('DEL', key) end
return 0
