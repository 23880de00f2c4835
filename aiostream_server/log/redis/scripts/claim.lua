-- failed node, own node, lease_ms, max_restarts, then the teams whose turns the caller can begin again
-- -> {run, reason, attempt} for each run that is now the caller's: the reason that someone asked to end it for, or '';
-- the number of the attempt to begin its turn again, or 0 where it is to be ended
-- Runs of other teams are left for a process that has them, for as long as two leases.
local failed, node, lease, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline = tonumber(redis.call('ZSCORE', base .. 'nodes', failed))
if not deadline or deadline > now or failed == node then return {} end
local teams, reasons, runs, left = {}, {}, {}, {}
for at = 5, #ARGV do teams[ARGV[at]] = true end
local stops = redis.call('HGETALL', base .. 'node:' .. failed .. ':stops')
for at = 1, #stops, 2 do reasons[stops[at]] = stops[at + 1] end
for _, run in ipairs(redis.call('SMEMBERS', base .. 'node:' .. failed .. ':runs')) do
    local key, attempt = base .. 'run:' .. run, 0
    local owner, team, restarts = unpack(redis.call('HMGET', key, 'node', 'team', 'restarts'))
    local may_begin_again = team and not reasons[run] and tonumber(restarts) < most
    if owner ~= failed then
        redis.call('SREM', base .. 'node:' .. failed .. ':runs', run)
    elseif may_begin_again and not teams[team] and now - deadline < 2 * lease then
        left[run] = true
    else
        if may_begin_again and teams[team] then
            attempt = redis.call('HINCRBY', key, 'restarts', 1) + 1
            local who = redis.call('HGET', base .. 'slots', run)
            if who then redis.call('HSET', base .. 'slots', run, node .. string.sub(who, #failed + 1)) end
        end
        redis.call('HSET', key, 'node', node)
        redis.call('SREM', base .. 'node:' .. failed .. ':runs', run)
        redis.call('SADD', base .. 'node:' .. node .. ':runs', run)
        runs[#runs + 1] = {run, reasons[run] or '', attempt}
    end
end
redis.call('DEL', base .. 'node:' .. failed .. ':call')
give_back_all(failed, left)
if not next(left) then
    redis.call('ZREM', base .. 'nodes', failed)
    redis.call('DEL', base .. 'node:' .. failed .. ':stops')
end
return runs
