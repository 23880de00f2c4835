-- turn, run, how many may be live before it (-1: any), lifetime_ms, then runs that have left
-- -> whether it entered, the live runs before it
local key, run, most = base .. 'turn:' .. ARGV[1], ARGV[2], tonumber(ARGV[3])
leave(key, 5)
local runs, latest = live(key)
local before = {}
for _, each in ipairs(runs) do
    if each == run then return {1, before} end
    before[#before + 1] = each
end
if most >= 0 and #before > most then return {0, before} end
redis.call('ZADD', key, math.max(now, latest + 1), run)
redis.call('PEXPIRE', key, ARGV[4])
return {1, before}
