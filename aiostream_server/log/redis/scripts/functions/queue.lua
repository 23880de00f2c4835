local function is_queue_empty() return redis.call('EXISTS', base .. 'queue') == 0 end

-- The runs that wait. `limits` count from now on; without them those that counted before. In one function: most calls do
-- not need it, and each function that is made takes Redis time.
local function open_queue(limits)
    local queue, names = {}, {'max_runs', 'max_runs_per_key', 'max_runs_per_user'}
    if limits then
        redis.call('HSET', base .. 'limits', names[1], limits[1], names[2], limits[2], names[3], limits[3])
    else
        limits = redis.call('HMGET', base .. 'limits', unpack(names))
        for at = 1, 3 do limits[at] = tonumber(limits[at] or 0) end
    end

    local function send(node, ...) redis.call('PUBLISH', base .. 'node:' .. node, cmsgpack.pack({...})) end
    local function owner_of(run) return redis.call('HGET', base .. 'queue:of', run) end

    function queue.own_obstacle(who) return own_obstacle(who, limits) end

    local function turn_of(name, is_new)
        local found = redis.call('ZSCORE', base .. 'served', name)
        if found and not is_new then return tonumber(found) end
        local last = redis.call('ZREVRANGE', base .. 'served', 0, 0, 'WITHSCORES')
        local at = tonumber(last[2] or 0) + 1
        redis.call('ZADD', base .. 'served', at, name)
        return at
    end

    function queue.add(run, who)
        local _, key, user = parts(who)
        local last = redis.call('ZREVRANGE', base .. 'queue', 0, 0, 'WITHSCORES')
        redis.call('ZADD', base .. 'queue', tonumber(last[2] or 0) + 1, run)
        redis.call('HSET', base .. 'queue:of', run, who)
        turn_of(key)
        turn_of(key .. ' ' .. user)
    end

    function queue.remove(run)
        if redis.call('ZREM', base .. 'queue', run) == 0 then return end
        redis.call('HDEL', base .. 'queue:of', run)
        if is_queue_empty() then redis.call('DEL', base .. 'served') end
    end

    -- All of a process's, but for the runs in `kept`.
    function queue.remove_all(node, kept)
        local waiting = redis.call('HGETALL', base .. 'queue:of')
        for at = 1, #waiting, 2 do
            if parts(waiting[at + 1]) == node and not kept[waiting[at]] then queue.remove(waiting[at]) end
        end
    end

    -- Give free slots to those that wait: keys in turn, the users of a key in turn, each in the order of arrival.
    function queue.grant()
        while not is_queue_empty() and redis.call('HLEN', base .. 'slots') < limits[1] do
            local best, best_who, best_key, best_user, known = nil, nil, nil, nil, {}
            for _, run in ipairs(redis.call('ZRANGE', base .. 'queue', 0, -1)) do
                local who = owner_of(run)
                local _, key, user = parts(who)
                local name = key .. ' ' .. user
                if not known[name] then
                    known[name] = true
                    if own_obstacle(who, limits) == 0 then
                        local at_key, at_user = turn_of(key), turn_of(name)
                        if not best or at_key < best_key or (at_key == best_key and at_user < best_user) then
                            best, best_who, best_key, best_user = run, who, at_key, at_user
                        end
                    end
                end
            end
            if not best then return end
            local node, key, user = parts(best_who)
            take(best, best_who)
            turn_of(key, true)
            turn_of(key .. ' ' .. user, true)
            queue.remove(best)
            send(node, 'slot', best)
        end
    end

    -- Where another key has more in a full queue, its newest gives way.
    function queue.make_room(who)
        local _, own = parts(who)
        local counts, newest, longest = {}, {}, nil
        for _, run in ipairs(redis.call('ZRANGE', base .. 'queue', 0, -1)) do
            local _, key = parts(owner_of(run))
            counts[key], newest[key] = (counts[key] or 0) + 1, run
            if not longest or counts[key] > counts[longest] then longest = key end
        end
        if not longest or counts[longest] <= (counts[own] or 0) + 1 then return false end
        local run = newest[longest]
        local node = parts(owner_of(run))
        queue.remove(run)
        send(node, 'refused', run)
        return true
    end

    return queue
end
