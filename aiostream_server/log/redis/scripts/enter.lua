-- run, "node key user", max_runs, max_runs_per_key, max_runs_per_user, queue_size, then runs that have left
-- -> 1: it has a slot; 2: it waits; 0: it is refused. And the obstacle
local run, who = ARGV[1], ARGV[2]
redis.call('HSET', base .. 'limits', 'max_runs', ARGV[3], 'max_runs_per_key', ARGV[4], 'max_runs_per_user', ARGV[5])
if redis.call('HEXISTS', base .. 'slots', run) == 1 then return {1, 0} end
for at = 7, #ARGV do
    free(ARGV[at])
    dequeue(ARGV[at])
end
grant()
local why = obstacle(who)
if why == 0 then
    take(run, who)
    return {1, 0}
end
if redis.call('HEXISTS', base .. 'queue:of', run) == 1 then return {2, why} end
while redis.call('ZCARD', base .. 'queue') >= tonumber(ARGV[6]) do
    if not make_room(who) then return {0, why} end
end
enqueue(run, who)
return {2, why}
