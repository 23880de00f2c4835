-- -> the commands of all scripts that the user may not call. Raises what else is wrong
local calls = {
    {'time'}, {'set', 's', 1}, {'get', 's'}, {'exists', 's'}, {'pexpire', 's', 1000}, {'publish', 'p', 1},
    {'hset', 'h', 'f', 1}, {'hsetnx', 'h', 'f', 1}, {'hget', 'h', 'f'}, {'hmget', 'h', 'f'}, {'hgetall', 'h'},
    {'hlen', 'h'}, {'hexists', 'h', 'f'}, {'hincrby', 'n', 'f', 1}, {'hdel', 'h', 'f'},
    {'sadd', 'm', 1}, {'scard', 'm'}, {'smembers', 'm'}, {'srem', 'm', 1},
    {'zadd', 'z', 1, 'm'}, {'zcard', 'z'}, {'zscore', 'z', 'm'}, {'zrange', 'z', 0, -1}, {'zrevrange', 'z', 0, -1},
    {'zrangebyscore', 'z', 0, 1}, {'zrem', 'z', 'm'},
    {'rpush', 'l', 1}, {'rpushx', 'l', 1}, {'llen', 'l'}, {'lindex', 'l', 0}, {'lrange', 'l', 0, -1}, {'lpop', 'l'},
    {'del', 's'}, {'del', 'n'}, {'del', 'l'},
}
local refused = {}
for _, call in ipairs(calls) do
    if call[2] then call[2] = base .. 'probe:' .. call[2] end
    local reply = redis.pcall(unpack(call))
    local problem = type(reply) == 'table' and reply.err
    if problem then
        if not (string.find(problem, 'user', 1, true) or string.find(problem, 'NOPERM', 1, true)) then return reply end
        refused[#refused + 1] = call[1]
    end
end
return refused
