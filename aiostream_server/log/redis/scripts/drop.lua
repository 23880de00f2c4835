-- "deleted" or nothing, then runs: keep them no longer; those that were deleted are not even remembered
for at = 2, #ARGV do
    local run = ARGV[at]
    local key = base .. 'run:' .. run
    local digest = redis.call('HGET', key, 'digest')
    if digest then redis.call('ZREM', base .. 'of:' .. digest, run) end
    redis.call('DEL', key, key .. ':log')
    if ARGV[1] == 'deleted' then redis.call('DEL', base .. 'gone:' .. run) end
end
return 1
