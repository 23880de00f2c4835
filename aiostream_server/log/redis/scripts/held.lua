-- runs -> for each whether it has a slot (1), waits (2), or neither (0)
local found = {}
for at, run in ipairs(ARGV) do
    if redis.call('HEXISTS', base .. 'slots', run) == 1 then
        found[at] = 1
    else
        found[at] = 2 * redis.call('HEXISTS', base .. 'queue:of', run)
    end
end
return found
