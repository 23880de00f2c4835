-- runs: each gives its slot, or its place in the queue, back
for _, run in ipairs(ARGV) do
    free(run)
    dequeue(run)
end
grant()
return 1
