-- node, lifetime_ms, the number of this call or '', the orders (`write_order.py`), packed; then of each: payloads, card
-- if any, request if any
-- -> the number of the call before that Redis knows; for each run: the number of its last event here, or -1 (unknown),
-- or -2 (of another process)
-- What becomes a part of a command is a string: to format a number takes Redis as long as a short command.
local node, lifetime, before = ARGV[1], ARGV[2], ''
if ARGV[3] ~= '' then
    local call = base .. 'node:' .. node .. ':call'
    before = redis.call('GET', call) or ''
    redis.call('SET', call, ARGV[3], 'PX', lifetime)
end

-- A run that Redis does not know. What was lost is written again in any order.
local function begin(run, owner, created, digest, talk, turn, start, is_late, fingerprint)
    redis.call('DEL', base .. 'run:' .. run .. ':log')  -- it was evicted without its events
    redis.call('SADD', base .. 'node:' .. node .. ':runs', run)
    redis.call('ZADD', base .. 'of:' .. digest, created, run)
    redis.call('PEXPIRE', base .. 'of:' .. digest, lifetime)
    if talk ~= '' then
        local latest = redis.call('GET', base .. 'latest:' .. talk)
        local at = latest and redis.call('ZSCORE', base .. 'of:' .. digest, latest)
        if not at or tonumber(at) <= tonumber(created) then
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
end

-- Drop what stands before this number.
local function trim(events, keep_from)
    local first = redis.call('LINDEX', events, 0)
    while first and number_of(first) < keep_from do
        redis.call('LPOP', events)
        first = redis.call('LINDEX', events, 0)
    end
end

local function add(changes, field, value)
    changes[#changes + 1] = field
    changes[#changes + 1] = value
end

local at, replies, is_slot_free = 4, {before}, false
for place, order in ipairs(cmsgpack.unpack(ARGV[4])) do
    local run, expected, last, reserved, keep_from, is_viewed, count, has_card, birth, request, ending = unpack(order)
    local key = base .. 'run:' .. run
    local events = key .. ':log'
    local first = at + 1
    at = at + count
    local card = has_card and ARGV[at + 1]
    if card then at = at + 1 end
    local is_kept = request and #request > 0
    if is_kept then at = at + 1 end

    local driver, told, finished, team = unpack(redis.call('HMGET', key, 'node', 'last', 'finished', 'team'))
    local known, has_events
    if driver then
        known, has_events = last_of(events, told)
        if driver == node and known > 0 and not has_events and not finished and keep_from ~= -1 then
            redis.call('DEL', key)  -- its events were evicted: its process writes all of it again
            driver, team = false, false
        end
    end
    local changes
    if driver and driver ~= node then
        known = -2
    elseif driver and known == expected and not finished then
        changes = {'last', last, 'reserved', reserved}
    elseif not driver and birth then
        begin(run, unpack(birth))
        changes = {'last', last, 'reserved', reserved, 'node', node, 'owner', birth[1], 'digest', birth[3]}
        if birth[5] ~= '' then add(changes, 'turn', birth[5]) end
        if birth[6] ~= '' then add(changes, 'start', birth[6]) end
    elseif not driver then
        known = -1
    end
    if changes then
        known = last
        if count > 0 then redis.call('RPUSH', events, unpack(ARGV, first, first + count - 1)) end
        if card then add(changes, 'card', card) end
        if is_kept then
            add(changes, 'restarts', request[1])
            add(changes, 'team', request[2])
            add(changes, 'request', ARGV[at])
        end
        if ending then add(changes, 'finished', '1') end
        redis.call('HSET', key, unpack(changes))
        if not is_kept and team and (request or ending) then redis.call('HDEL', key, 'team', 'request') end
        if keep_from > 1 then trim(events, keep_from) end
        if ending then
            redis.call('PEXPIRE', key, ending[1])
            redis.call('PEXPIRE', events, ending[1])
            local owner, turn, start = unpack(redis.call('HMGET', key, 'owner', 'turn', 'start'))
            redis.call('SET', base .. 'gone:' .. run, owner, 'PX', ending[2])
            redis.call('SREM', base .. 'node:' .. node .. ':runs', run)
            if turn then redis.call('ZREM', base .. 'turn:' .. turn, run) end
            if start then redis.call('PEXPIRE', base .. 'start:' .. start, ending[1]) end
            is_slot_free = free(run, node) or is_slot_free
        else
            if not driver then redis.call('PEXPIRE', key, lifetime) end
            if count > 0 and not (driver and has_events) then redis.call('PEXPIRE', events, lifetime) end
        end
        if is_viewed or ending then
            for each = first, first + count - 1 do redis.call('PUBLISH', base .. 'live:' .. run, ARGV[each]) end
        end
    end
    replies[place + 1] = known
end
if is_slot_free and not is_queue_empty() then open_queue().grant() end
return replies
