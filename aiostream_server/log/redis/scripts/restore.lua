-- node, how many runs have a slot, run and "node key user" of each, then runs that may have one: Redis may have lost
-- slots, or may hold some that were given back
local node, held, keep = ARGV[1], tonumber(ARGV[2]), {}
for at = 3, 2 * held + 2, 2 do
    local owner = redis.call('HGET', base .. 'run:' .. ARGV[at], 'node')
    if not owner or owner == node then take(ARGV[at], ARGV[at + 1]) end
    keep[ARGV[at]] = true
end
for at = 2 * held + 3, #ARGV do keep[ARGV[at]] = true end
for _, run in ipairs(redis.call('SMEMBERS', base .. 'node:' .. node .. ':slots')) do
    if not keep[run] then free(run) end
end
grant()
return 1
