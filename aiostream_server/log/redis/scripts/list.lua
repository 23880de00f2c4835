-- owner's digest, limit -> for each run, newest first: id, node, last, finished, card
local key, found, from = base .. 'of:' .. ARGV[1], {}, 0
while #found < tonumber(ARGV[2]) do
    local runs = redis.call('ZREVRANGE', key, from, from + 99)
    if #runs == 0 then break end
    for _, run in ipairs(runs) do
        local fields = redis.call('HMGET', base .. 'run:' .. run, 'node', 'last', 'finished', 'card')
        if not fields[1] then
            redis.call('ZREM', key, run)
        else
            from = from + 1
            if #found < tonumber(ARGV[2]) then
                local last = fields[3] and fields[2] or last_of(base .. 'run:' .. run .. ':log', fields[2])
                found[#found + 1] = {run, fields[1], last, fields[3] or '', fields[4] or ''}
            end
        end
    end
end
return found
