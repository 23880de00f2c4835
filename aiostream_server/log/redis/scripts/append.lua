-- node, lifetime_ms, the number of its call before ('' after a failure) and of this one, how many are published, the runs,
-- packed, then the payload of each
-- -> the number of the call before that Redis knows: where it is another one, nothing was written. Then the places of the
-- runs that were not written
-- Only for runs that are confirmed: `write` has found them to be this process's, and to have all of their events. They
-- stay so as long as no call was lost, and none was claimed (`claim` deletes the number).
local call = base .. 'node:' .. ARGV[1] .. ':call'
local before = redis.call('GET', call) or ''
if before ~= ARGV[3] then return {before} end
redis.call('SET', call, ARGV[4], 'PX', ARGV[2])
local published, replies = tonumber(ARGV[5]), {before}
for at, run in ipairs(cmsgpack.unpack(ARGV[6])) do
    local payload = ARGV[6 + at]
    -- an error: it is full, or refuses to write; `write` raises it. 0: it has lost the run's events
    local length = redis.pcall('RPUSHX', base .. 'run:' .. run .. ':log', payload)
    if type(length) ~= 'number' or length == 0 then
        replies[#replies + 1] = at
    elseif at <= published then
        redis.call('PUBLISH', base .. 'live:' .. run, payload)
    end
end
return replies
