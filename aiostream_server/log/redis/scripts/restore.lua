-- node, then run and "node key user" of each that has a slot: Redis may have lost it
for at = 2, #ARGV, 2 do
    local node = redis.call('HGET', base .. 'run:' .. ARGV[at], 'node')
    if not node or node == ARGV[1] then take(ARGV[at], ARGV[at + 1]) end
end
return 1
