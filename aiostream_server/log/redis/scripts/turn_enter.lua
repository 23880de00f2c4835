-- turn, run, how many may be live before it (-1: any), lifetime_ms, then runs that have left
-- -> whether it entered, the live runs before it
leave(ARGV[1], 5)
local key, run, most = base .. 'turn:' .. ARGV[1], ARGV[2], tonumber(ARGV[3])
local runs, before = live(ARGV[1]), {}
for _, each in ipairs(runs) do
    if each == run then return {1, before} end
    before[#before + 1] = each
end
if most >= 0 and #before > most then return {0, before} end
local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
redis.call('ZADD', key, math.max(now, tonumber(last[2] or 0) + 1), run)
redis.call('PEXPIRE', key, ARGV[4])
return {1, before}
