-- The place of each waiting run, from 1: the order in which they leave the queue if nothing is added to it. 0: its key or
-- user has as many runs as it may have, or the queue is too long to be sorted.
local function places_in(queue)
    local found, keys, turns = {}, {}, {}
    if redis.call('ZCARD', base .. 'queue') > 1000 then return found end
    local owners, served = {}, {}
    local waiting = redis.call('HGETALL', base .. 'queue:of')
    for at = 1, #waiting, 2 do owners[waiting[at]] = waiting[at + 1] end
    local names = redis.call('ZRANGE', base .. 'served', 0, -1, 'WITHSCORES')
    for at = 1, #names, 2 do served[names[at]] = tonumber(names[at + 1]) end
    for _, run in ipairs(redis.call('ZRANGE', base .. 'queue', 0, -1)) do
        local _, key, user = parts(owners[run])
        local name = key .. ' ' .. user
        keys[key] = keys[key] or {}
        turns[name] = (turns[name] or 0) + 1
        table.insert(keys[key], {run = run, turn = turns[name], at = served[name] or 0})
    end
    local function first(a, b)
        if a.turn ~= b.turn then return a.turn < b.turn end
        return a.at < b.at
    end
    local order = {}
    for key, runs in pairs(keys) do
        table.sort(runs, first)
        for turn, each in ipairs(runs) do order[#order + 1] = {run = each.run, turn = turn, at = served[key] or 0} end
    end
    table.sort(order, first)
    for at, each in ipairs(order) do found[each.run] = queue.own_obstacle(owners[each.run]) == 0 and at or 0 end
    return found
end
