-- node, runs: each gives its slot, or its place in the queue, back
local queue = not is_queue_empty() and open_queue()
for at = 2, #ARGV do
    if not free(ARGV[at], ARGV[1]) and queue then queue.remove(ARGV[at]) end
end
if queue then queue.grant() end
return 1
