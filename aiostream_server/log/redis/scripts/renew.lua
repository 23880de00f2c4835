-- node, lease_ms, the end of its lease as it knows it (0: it had none) -> that end as Redis knows it (0: unknown) and
-- from now on, nodes without a lease any more, {run, reason, ...} to end, in how many ms the next lease ends
local node, lease = ARGV[1], tonumber(ARGV[2])
local seen = tonumber(redis.call('GET', base .. 'seen') or 0)
local grace = tonumber(redis.call('GET', base .. 'grace') or 0)
if now - seen > lease / 2 then  -- no process could renew: Redis was away
    grace = now + 2 * lease  -- one may take longer than another to find the primary
    redis.call('SET', base .. 'grace', grace)
end
local known = redis.call('ZSCORE', base .. 'nodes', node)
if tonumber(ARGV[3]) > tonumber(known or 0) or (seen > 0 and now - seen > lease / 2) then
    redis.call('SET', base .. 'behind', 1, 'PX', 2 * lease)  -- Redis has lost data, or was away
end
if seen > now then  -- the clock of Redis was set back: without this, leases would not end before it is there again
    local found = redis.call('ZRANGE', base .. 'nodes', 0, -1, 'WITHSCORES')
    for at = 1, #found, 2 do redis.call('ZADD', base .. 'nodes', found[at + 1] - (seen - now), found[at]) end
    grace = grace - (seen - now)
    redis.call('SET', base .. 'grace', grace)
end
redis.call('SET', base .. 'seen', now)
redis.call('ZADD', base .. 'nodes', now + lease, node)
local failed = {}
if now >= grace then failed = redis.call('ZRANGEBYSCORE', base .. 'nodes', '-inf', '(' .. now) end
local stops = redis.call('HGETALL', base .. 'node:' .. node .. ':stops')
if #stops > 0 then redis.call('DEL', base .. 'node:' .. node .. ':stops') end
local next_end = redis.call('ZRANGEBYSCORE', base .. 'nodes', now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
return {tonumber(known or 0), now + lease, failed, stops, next_end - now}
