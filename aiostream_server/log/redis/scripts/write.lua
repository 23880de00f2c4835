-- node, lifetime_ms, the number of this call or '', the orders (`write_order.py`), packed; then of each: payloads, card
-- if any, request if any
-- -> the number of the call before that Redis knows; for each run: the number of its last event here, or -1 (unknown),
-- or -2 (of another process)
local node, lifetime = ARGV[1], tonumber(ARGV[2])
local before = ''
if ARGV[3] ~= '' then
    before = redis.call('GET', base .. 'node:' .. node .. ':call') or ''
    redis.call('SET', base .. 'node:' .. node .. ':call', ARGV[3], 'PX', lifetime)
end
local at, replies = 4, {before}
for number, order in ipairs(cmsgpack.unpack(ARGV[4])) do
    local run, expected, reserved, keep_from, retention, is_viewed, lasts, birth, card, request = unpack(order, 1, 10)
    local payloads = at
    at = at + #lasts
    if card then
        at = at + 1
        card = ARGV[at]
    end
    if request and #request > 0 then
        at = at + 1
        request[3] = ARGV[at]
    end
    local key = base .. 'run:' .. run
    local events = key .. ':ev'
    local found = redis.call('HMGET', key, 'node', 'last', 'finished')
    local last = found[1] and last_of(run, found[2])
    if found[1] == node and last > 0 and not found[3] and keep_from ~= -1 and redis.call('EXISTS', events) == 0 then
        redis.call('DEL', key)  -- its events were evicted: its process writes all of it again
        found, last = {}, nil
    end
    if not found[1] and birth then
        redis.call('DEL', events)  -- of a run that was evicted without them
        local owner, created, digest, talk, turn, start, is_late, fingerprint = unpack(birth)
        redis.call('HSET', key, 'node', node, 'owner', owner, 'last', expected, 'digest', digest)
        if turn ~= '' then redis.call('HSET', key, 'turn', turn) end
        if start ~= '' then redis.call('HSET', key, 'start', start) end
        redis.call('PEXPIRE', key, lifetime)
        redis.call('SADD', base .. 'node:' .. node .. ':runs', run)
        redis.call('ZADD', base .. 'of:' .. digest, created, run)
        redis.call('PEXPIRE', base .. 'of:' .. digest, 2 * lifetime)
        if talk ~= '' then  -- what was lost is written again in any order
            local latest = redis.call('GET', base .. 'latest:' .. talk)
            local at = latest and redis.call('ZSCORE', base .. 'of:' .. digest, latest)
            if not at or tonumber(at) <= created then
                redis.call('SET', base .. 'latest:' .. talk, run, 'PX', lifetime)
            end
        end
        if is_late then  -- Redis was not told, or has lost, in which turn it is and which key has started it
            if turn ~= '' then
                redis.call('ZADD', base .. 'turn:' .. turn, 'NX', created, run)
                redis.call('PEXPIRE', base .. 'turn:' .. turn, lifetime)
            end
            if fingerprint ~= '' and redis.call('EXISTS', base .. 'start:' .. start) == 0 then
                redis.call('HSET', base .. 'start:' .. start, 'fingerprint', fingerprint, 'node', node, 'run', run)
                redis.call('PEXPIRE', base .. 'start:' .. start, lifetime)
            end
        end
        last = expected
    end
    if not last then
        last = -1
    elseif found[1] and found[1] ~= node then
        last = -2
    elseif last == expected and not found[3] then
        for place, each in ipairs(lasts) do
            redis.call('XADD', events, each .. '-0', 'd', ARGV[payloads + place])
            last = each
        end
        redis.call('HSET', key, 'last', last, 'reserved', reserved)
        if (expected == 0 or not found[1]) and #lasts > 0 then redis.call('PEXPIRE', events, lifetime) end
        if keep_from > 1 then redis.call('XTRIM', events, 'MINID', keep_from) end
        if card then redis.call('HSET', key, 'card', card) end
        if request and #request > 0 then
            redis.call('HSET', key, 'restarts', request[1], 'team', request[2], 'request', request[3])
        elseif request or retention >= 0 then
            redis.call('HDEL', key, 'team', 'request')
        end
        if retention >= 0 then
            local owner, turn, start = unpack(redis.call('HMGET', key, 'owner', 'turn', 'start'))
            redis.call('HSET', key, 'finished', 1)
            redis.call('PEXPIRE', key, retention)
            -- a copy takes as much memory as its events, where a stream that grows takes 4 KB at a time
            if redis.call('COPY', events, events .. ':copy', 'REPLACE') == 1 then
                redis.call('RENAME', events .. ':copy', events)
            end
            redis.call('PEXPIRE', events, retention)
            redis.call('SET', base .. 'gone:' .. run, owner, 'PX', retention + 86400000)
            redis.call('SREM', base .. 'node:' .. node .. ':runs', run)
            if turn then redis.call('ZREM', base .. 'turn:' .. turn, run) end
            if start then redis.call('PEXPIRE', base .. 'start:' .. start, retention) end
        end
        if is_viewed or retention >= 0 then
            for place = 1, #lasts do redis.call('PUBLISH', base .. 'live:' .. run, ARGV[payloads + place]) end
        end
    end
    replies[number + 1] = last
end
return replies
