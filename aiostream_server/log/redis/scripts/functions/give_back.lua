-- All slots and places in the queue that a process has, but for those of the runs in `kept`.
local function give_back_all(node, kept)
    local held = redis.call('HGETALL', base .. 'slots')
    for at = 1, #held, 2 do
        if not kept[held[at]] and parts(held[at + 1]) == node then free(held[at], node) end
    end
    if not is_queue_empty() then
        local queue = open_queue()
        queue.remove_all(node, kept)
        queue.grant()
    end
end
