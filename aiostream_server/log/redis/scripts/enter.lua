-- run, "node key user", max_runs, max_runs_per_key, max_runs_per_user, queue_size, then runs that have left
-- -> 1: it has a slot; 2: it waits; 0: it is refused. And the obstacle
local run, who, limits = ARGV[1], ARGV[2], {tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])}
local node = #ARGV > 6 and parts(who)
local queue = not is_queue_empty() and open_queue(limits)
for at = 7, #ARGV do
    if not free(ARGV[at], node) and queue then queue.remove(ARGV[at]) end
end
if queue then queue.grant() end
local why = redis.call('HLEN', base .. 'slots') >= limits[1] and 1 or own_obstacle(who, limits)
if why == 0 then
    take(run, who)
    return {1, 0}
end
if redis.call('HEXISTS', base .. 'slots', run) == 1 then return {1, 0} end
if redis.call('HEXISTS', base .. 'queue:of', run) == 1 then return {2, why} end
queue = queue or open_queue(limits)
while redis.call('ZCARD', base .. 'queue') >= tonumber(ARGV[6]) do
    if not queue.make_room(who) then return {0, why} end
end
queue.add(run, who)
return {2, why}
