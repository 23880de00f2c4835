-- The runs from argument `first` on have left the conversation.
local function leave(key, first)
    if #ARGV >= first then redis.call('ZREM', key, unpack(ARGV, first)) end
end

-- The live runs of a conversation, first those that entered first, and when the last one entered. One that was never
-- written has failed.
local function live(key)
    local found, runs = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}
    for at = 1, #found, 2 do
        local node, finished = unpack(redis.call('HMGET', base .. 'run:' .. found[at], 'node', 'finished'))
        if finished or (not node and now - found[at + 1] > 10000) then
            redis.call('ZREM', key, found[at])
        else
            runs[#runs + 1] = found[at]
        end
    end
    return runs, tonumber(found[#found] or 0)
end
