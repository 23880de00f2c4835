-- run, after, count -> last number, whether it has finished, node, card, payloads behind `after`. Or nothing
local key, after, count = base .. 'run:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found = redis.call('HMGET', key, 'last', 'finished', 'node', 'card')
if not found[1] then return {} end
local events = key .. ':log'
local last = found[2] and tonumber(found[1]) or last_of(events, found[1])
local payloads = {}
if count > 0 and last > after then
    local place, behind = 0, after > 0 and redis.call('LLEN', events) or 0
    while place < behind do  -- the first payload with a later number is at `place` or behind it, and not behind `behind`
        local middle = math.floor((place + behind) / 2)
        if number_of(redis.call('LINDEX', events, middle)) > after then behind = middle else place = middle + 1 end
    end
    payloads = redis.call('LRANGE', events, place, place + count - 1)
end
return {last, found[2] and 1 or 0, found[3], found[4] or '', payloads}
