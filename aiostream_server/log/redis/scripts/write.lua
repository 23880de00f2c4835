-- node, lifetime_ms, then for each run the arguments of a `WriteOrder`: words in one, since each costs the caller
-- time (id, expected, reserved, keep_from, retention_ms, is_viewed, has_birth, has_card, has_request, and the last number
-- of each payload); the birth, if any (owner, created, the digests of owner, conversation and turn, start); the card, if
-- any; the restarts, the team and the request, if has_request is 1 (2 deletes them); the payloads
-- -> for each run: the number of its last event here, or -1 (unknown), or -2 (of another process); and receivers
local node, lifetime = ARGV[1], tonumber(ARGV[2])
local at, replies = 3, {}
while at <= #ARGV do
    local words = {}
    for word in string.gmatch(ARGV[at], '%S+') do words[#words + 1] = word end
    local run, expected, reserved, keep_from, retention, is_viewed, has_birth, has_card, has_request = unpack(words, 1, 9)
    local birth, card, request
    at = at + 1
    if has_birth == '1' then birth, at = cmsgpack.unpack(ARGV[at]), at + 1 end
    if has_card == '1' then card, at = ARGV[at], at + 1 end
    if has_request == '1' then request, at = {ARGV[at], ARGV[at + 1], ARGV[at + 2]}, at + 3 end
    local payloads = at - 10
    at = at + #words - 9
    local key = base .. 'run:' .. run
    local events, mine = key .. ':ev', base .. 'node:' .. node .. ':runs'
    local found = redis.call('HMGET', key, 'node', 'last', 'finished')
    local last, receivers = tonumber(found[2]), -1
    if found[1] == node and last > 0 and not found[3] and keep_from ~= '-1' and redis.call('EXISTS', events) == 0 then
        redis.call('DEL', key)  -- its events were evicted: its process writes all of it again
        found, last = {}, nil
    end
    if not found[1] and birth then
        redis.call('DEL', events)  -- of a run that was evicted without them
        local owner, created, digest, talk, turn, start = unpack(birth)
        redis.call('HSET', key, 'node', node, 'owner', owner, 'last', expected, 'digest', digest)
        if turn ~= '' then redis.call('HSET', key, 'turn', turn) end
        if start ~= '' then redis.call('HSET', key, 'start', start) end
        redis.call('PEXPIRE', key, lifetime)
        redis.call('SADD', mine, run)
        redis.call('ZADD', base .. 'of:' .. digest, created, run)
        redis.call('PEXPIRE', base .. 'of:' .. digest, 2 * lifetime)
        if talk ~= '' then redis.call('SET', base .. 'latest:' .. talk, run, 'PX', lifetime) end
        last = tonumber(expected)
    end
    if not last then
        last = -1
    elseif found[1] and found[1] ~= node then
        last = -2
    elseif last == tonumber(expected) and not found[3] then
        for word = 10, #words do
            redis.call('XADD', events, words[word] .. '-0', 'd', ARGV[payloads + word])
            last = tonumber(words[word])
        end
        redis.call('HSET', key, 'last', last, 'reserved', reserved)
        if (expected == '0' or not found[1]) and #words > 9 then redis.call('PEXPIRE', events, lifetime) end
        if tonumber(keep_from) > 1 then redis.call('XTRIM', events, 'MINID', keep_from) end
        if card then redis.call('HSET', key, 'card', card) end
        if request then
            redis.call('HSET', key, 'restarts', request[1], 'team', request[2], 'request', request[3])
        elseif has_request == '2' or tonumber(retention) >= 0 then
            redis.call('HDEL', key, 'team', 'request')
        end
        if tonumber(retention) >= 0 then
            local owner, turn, start = unpack(redis.call('HMGET', key, 'owner', 'turn', 'start'))
            redis.call('HSET', key, 'finished', 1)
            redis.call('PEXPIRE', key, retention)
            redis.call('PEXPIRE', events, retention)
            redis.call('SET', base .. 'gone:' .. run, owner, 'PX', retention + 86400000)
            redis.call('SREM', mine, run)
            if turn then redis.call('ZREM', base .. 'turn:' .. turn, run) end
            if start then redis.call('PEXPIRE', base .. 'start:' .. start, retention) end
        end
        if is_viewed == '1' or tonumber(retention) >= 0 then
            for word = 10, #words do
                receivers = redis.call('PUBLISH', base .. 'live:' .. run, ARGV[payloads + word])
            end
        end
    end
    replies[#replies + 1] = last
    replies[#replies + 1] = receivers
end
return replies
