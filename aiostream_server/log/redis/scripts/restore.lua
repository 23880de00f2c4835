-- node, how many runs have a slot, run and "node key user" of each, then runs that may have one, or wait: Redis may have
-- lost slots, or may hold slots and places in the queue that were given back
local node, held, kept = ARGV[1], tonumber(ARGV[2]), {}
local queue = not is_queue_empty() and open_queue()
for at = 3, 2 * held + 2, 2 do
    local owner = redis.call('HGET', base .. 'run:' .. ARGV[at], 'node')
    if not owner or owner == node then take(ARGV[at], ARGV[at + 1]) end
    if queue then queue.remove(ARGV[at]) end  -- it may have got its slot while Redis was away
    kept[ARGV[at]] = true
end
for at = 2 * held + 3, #ARGV do kept[ARGV[at]] = true end
give_back_all(node, kept)
return 1
