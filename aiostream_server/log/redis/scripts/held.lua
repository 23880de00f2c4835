-- runs -> for each whether it has a slot (1), waits (2), or neither (0), and its place in the queue or 0
local found, places = {}, places_in(open_queue())
for at, run in ipairs(ARGV) do
    if redis.call('HEXISTS', base .. 'slots', run) == 1 then
        found[at] = {1, 0}
    else
        found[at] = {2 * redis.call('HEXISTS', base .. 'queue:of', run), places[run] or 0}
    end
end
return found
