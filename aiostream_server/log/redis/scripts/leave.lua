-- runs: each gives its slot, or its place in the queue, back
local queue = not is_queue_empty() and open_queue()
for _, run in ipairs(ARGV) do
    if not free(run) and queue then queue.remove(run) end
end
if queue then queue.grant() end
return 1
