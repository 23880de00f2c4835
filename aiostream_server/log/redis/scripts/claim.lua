-- failed node, own node -> the runs that are now the caller's
local failed, node = ARGV[1], ARGV[2]
local deadline = tonumber(redis.call('ZSCORE', base .. 'nodes', failed))
if not deadline or deadline > now or failed == node then return {} end
redis.call('ZREM', base .. 'nodes', failed)
local runs = {}
for _, run in ipairs(redis.call('SMEMBERS', base .. 'node:' .. failed .. ':runs')) do
    if redis.call('HGET', base .. 'run:' .. run, 'node') == failed then
        redis.call('HSET', base .. 'run:' .. run, 'node', node)
        redis.call('SADD', base .. 'node:' .. node .. ':runs', run)
        runs[#runs + 1] = run
    end
end
redis.call('DEL', base .. 'node:' .. failed .. ':runs', base .. 'node:' .. failed .. ':stops')
give_back_all(failed)
return runs
