-- node, lifetime_ms, the number of its call before ('' after a failure) and of this one, how many are published,
-- {run, last event, ...} packed, then the payload of each
-- -> the number of the call before that Redis knows: where it is another one, nothing was written. Then for each run
-- whether it was written
-- Only for runs that are confirmed: `write` has found them to be this process's, and to have all of their events. They
-- stay so as long as no call was lost, and none was claimed (`claim` deletes the number).
local before = redis.call('GET', base .. 'node:' .. ARGV[1] .. ':call') or ''
if before ~= ARGV[3] then return {before} end
redis.call('SET', base .. 'node:' .. ARGV[1] .. ':call', ARGV[4], 'PX', ARGV[2])
local published, runs, replies = tonumber(ARGV[5]), cmsgpack.unpack(ARGV[6]), {before}
for at = 1, #ARGV - 6 do
    local run, payload = runs[2 * at - 1], ARGV[6 + at]
    -- an error: it is full, or refuses to write; `write` raises it
    local id = redis.pcall('XADD', base .. 'run:' .. run .. ':ev', 'NOMKSTREAM', runs[2 * at], 'd', payload)
    local is_written = type(id) == 'string'
    if is_written and at <= published then redis.call('PUBLISH', base .. 'live:' .. run, payload) end
    replies[at + 1] = is_written and 1 or 0
end
return replies
