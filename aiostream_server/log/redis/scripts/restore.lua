-- node, how many runs have a slot, run and "node key user" of each, then runs that may have one, or wait: Redis may have
-- lost slots, or may hold slots and places in the queue that were given back
local node, held, keep = ARGV[1], tonumber(ARGV[2]), {}
for at = 3, 2 * held + 2, 2 do
    local owner = redis.call('HGET', base .. 'run:' .. ARGV[at], 'node')
    if not owner or owner == node then take(ARGV[at], ARGV[at + 1]) end
    dequeue(ARGV[at])  -- it may have got its slot while Redis was away
    keep[ARGV[at]] = true
end
for at = 2 * held + 3, #ARGV do keep[ARGV[at]] = true end
for _, run in ipairs(redis.call('SMEMBERS', base .. 'node:' .. node .. ':slots')) do
    if not keep[run] then free(run) end
end
local waiting = redis.call('HGETALL', base .. 'queue:of')
for at = 1, #waiting, 2 do
    if parts(waiting[at + 1]) == node and not keep[waiting[at]] then dequeue(waiting[at]) end
end
grant()
return 1
