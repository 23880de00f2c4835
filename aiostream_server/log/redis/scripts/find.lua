-- run -> node, owner, last, reserved, finished, card. Or the owner of one that is kept no longer. Or nothing
local found = redis.call('HMGET', base .. 'run:' .. ARGV[1], 'node', 'owner', 'last', 'reserved', 'finished', 'card')
if found[1] then
    if not found[5] then found[3] = last_of(ARGV[1], found[3]) end
    return found
end
local owner = redis.call('GET', base .. 'gone:' .. ARGV[1])
return owner and {owner} or {}
