local function send(node, ...) redis.call('PUBLISH', base .. 'node:' .. node, cmsgpack.pack({...})) end
local function parts(who) return string.match(who, '^(%S+) (%S+) (%S*)$') end
local function limit(name) return tonumber(redis.call('HGET', base .. 'limits', name) or 0) end

local function take(run, who)
    local node, key, user = parts(who)
    redis.call('HSET', base .. 'slots', run, who)
    redis.call('SADD', base .. 'slots:k:' .. key, run)
    if user ~= '' then redis.call('SADD', base .. 'slots:u:' .. user, run) end
    redis.call('SADD', base .. 'node:' .. node .. ':slots', run)
end

local function free(run)
    local who = redis.call('HGET', base .. 'slots', run)
    if not who then return end
    local node, key, user = parts(who)
    redis.call('HDEL', base .. 'slots', run)
    redis.call('SREM', base .. 'slots:k:' .. key, run)
    if user ~= '' then redis.call('SREM', base .. 'slots:u:' .. user, run) end
    redis.call('SREM', base .. 'node:' .. node .. ':slots', run)
end

-- 0: there is none; 2, 3: the limit of the key, of the user
local function own_obstacle(who)
    local _, key, user = parts(who)
    local most = limit('max_runs_per_key')
    if most > 0 and redis.call('SCARD', base .. 'slots:k:' .. key) >= most then return 2 end
    most = limit('max_runs_per_user')
    if most > 0 and user ~= '' and redis.call('SCARD', base .. 'slots:u:' .. user) >= most then return 3 end
    return 0
end

-- 0: there is a slot; 1: the limit of all runs; else as `own_obstacle`
local function obstacle(who)
    if redis.call('HLEN', base .. 'slots') >= limit('max_runs') then return 1 end
    return own_obstacle(who)
end

local function place(name, is_new)
    local found = redis.call('ZSCORE', base .. 'served', name)
    if found and not is_new then return tonumber(found) end
    local last = redis.call('ZREVRANGE', base .. 'served', 0, 0, 'WITHSCORES')
    local at = tonumber(last[2] or 0) + 1
    redis.call('ZADD', base .. 'served', at, name)
    return at
end

local function enqueue(run, who)
    local _, key, user = parts(who)
    local last = redis.call('ZREVRANGE', base .. 'queue', 0, 0, 'WITHSCORES')
    redis.call('ZADD', base .. 'queue', tonumber(last[2] or 0) + 1, run)
    redis.call('HSET', base .. 'queue:of', run, who)
    place(key)
    place(key .. ' ' .. user)
end

local function dequeue(run)
    redis.call('ZREM', base .. 'queue', run)
    redis.call('HDEL', base .. 'queue:of', run)
    if redis.call('ZCARD', base .. 'queue') == 0 then redis.call('DEL', base .. 'served') end
end

-- Give free slots to those that wait: keys in turn, the users of a key in turn, each in the order of arrival.
local function grant()
    while redis.call('ZCARD', base .. 'queue') > 0 and redis.call('HLEN', base .. 'slots') < limit('max_runs') do
        local best, best_who, best_key, best_user, known = nil, nil, nil, nil, {}
        for _, run in ipairs(redis.call('ZRANGE', base .. 'queue', 0, -1)) do
            local who = redis.call('HGET', base .. 'queue:of', run)
            local _, key, user = parts(who)
            local name = key .. ' ' .. user
            if known[name] == nil then
                known[name] = obstacle(who) == 0
                if known[name] then
                    local at_key, at_user = place(key), place(name)
                    if not best or at_key < best_key or (at_key == best_key and at_user < best_user) then
                        best, best_who, best_key, best_user = run, who, at_key, at_user
                    end
                end
            end
        end
        if not best then return end
        local node, key, user = parts(best_who)
        take(best, best_who)
        place(key, true)
        place(key .. ' ' .. user, true)
        dequeue(best)
        send(node, 'slot', best)
    end
end

-- All that a process holds or waits for, but for the slots of the runs in `kept`.
local function give_back_all(node, kept)
    for _, run in ipairs(redis.call('SMEMBERS', base .. 'node:' .. node .. ':slots')) do
        if not kept or not kept[run] then free(run) end
    end
    local waiting = redis.call('HGETALL', base .. 'queue:of')
    for at = 1, #waiting, 2 do
        if parts(waiting[at + 1]) == node then dequeue(waiting[at]) end
    end
    grant()
end

-- Where another key has more in a full queue, its newest gives way.
local function make_room(who)
    local _, own = parts(who)
    local counts, newest, longest = {}, {}, nil
    for _, run in ipairs(redis.call('ZRANGE', base .. 'queue', 0, -1)) do
        local _, key = parts(redis.call('HGET', base .. 'queue:of', run))
        counts[key], newest[key] = (counts[key] or 0) + 1, run
        if not longest or counts[key] > counts[longest] then longest = key end
    end
    if not longest or counts[longest] <= (counts[own] or 0) + 1 then return false end
    local run = newest[longest]
    local node = parts(redis.call('HGET', base .. 'queue:of', run))
    dequeue(run)
    send(node, 'refused', run)
    return true
end
