-- run -> node, owner, last, reserved, finished, card. Or the owner of one that is kept no longer. Or nothing; or nil alone
-- where Redis has lost data or was away a moment ago, and the run may still be written
local key = base .. 'run:' .. ARGV[1]
local found = redis.call('HMGET', key, 'node', 'owner', 'last', 'reserved', 'finished', 'card')
if found[1] then
    if not found[5] then found[3] = last_of(key .. ':log', found[3]) end
    return found
end
local owner = redis.call('GET', base .. 'gone:' .. ARGV[1])
if owner then return {owner} end
if redis.call('EXISTS', base .. 'seen') == 0 or redis.call('EXISTS', base .. 'behind') == 1 then return {false} end
return {}
