-- start, node, run: it was started. Without a run: it was not
local key = base .. 'start:' .. ARGV[1]
if redis.call('HGET', key, 'node') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('DEL', key) end
redis.call('HSET', key, 'run', ARGV[3])
if redis.call('EXISTS', base .. 'run:' .. ARGV[3]) == 1 then
    redis.call('HSET', base .. 'run:' .. ARGV[3], 'start', ARGV[1])
end
return 1
