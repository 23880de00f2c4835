local function leave(turn, first)
    for at = first, #ARGV do redis.call('ZREM', base .. 'turn:' .. turn, ARGV[at]) end
end

-- The live runs of a conversation, first those that entered first. One that was never written has failed.
local function live(turn)
    local key, runs = base .. 'turn:' .. turn, {}
    local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for at = 1, #found, 2 do
        local node, finished = unpack(redis.call('HMGET', base .. 'run:' .. found[at], 'node', 'finished'))
        if finished or (not node and now - found[at + 1] > 10000) then
            redis.call('ZREM', key, found[at])
        else
            runs[#runs + 1] = found[at]
        end
    end
    return runs
end
