-- Who has slots: of each run "node key user", which it counts for.
local function parts(who) return string.match(who, '^(%S+) (%S+) (%S*)$') end

local function take(run, who)
    local _, key, user = parts(who)
    redis.call('HSET', base .. 'slots', run, who)
    redis.call('SADD', base .. 'slots:k:' .. key, run)
    if user ~= '' then redis.call('SADD', base .. 'slots:u:' .. user, run) end
end

-- Whether the process had one for the run. Where another has begun its turn again, that has it now.
local function free(run, node)
    local who = redis.call('HGET', base .. 'slots', run)
    if not who then return false end
    local driver, key, user = parts(who)
    if driver ~= node then return false end
    redis.call('HDEL', base .. 'slots', run)
    redis.call('SREM', base .. 'slots:k:' .. key, run)
    if user ~= '' then redis.call('SREM', base .. 'slots:u:' .. user, run) end
    return true
end

-- `limits` are those of all runs, of those of a key, and of a user. 0: there is a slot; 2, 3: the limit of the key, of the
-- user, that leaves none.
local function own_obstacle(who, limits)
    if limits[2] == 0 and limits[3] == 0 then return 0 end
    local _, key, user = parts(who)
    if limits[2] > 0 and redis.call('SCARD', base .. 'slots:k:' .. key) >= limits[2] then return 2 end
    if limits[3] > 0 and user ~= '' and redis.call('SCARD', base .. 'slots:u:' .. user) >= limits[3] then return 3 end
    return 0
end
