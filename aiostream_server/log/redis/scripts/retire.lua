-- node: it ends. Others take over at once what it could not write to the end
if redis.call('EXISTS', base .. 'node:' .. ARGV[1] .. ':runs') == 1 then
    redis.call('ZADD', base .. 'nodes', 'XX', now - 1, ARGV[1])
    return 0
end
redis.call('ZREM', base .. 'nodes', ARGV[1])
redis.call('DEL', base .. 'node:' .. ARGV[1] .. ':stops', base .. 'node:' .. ARGV[1] .. ':call')
give_back_all(ARGV[1], {})
return 1
