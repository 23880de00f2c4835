-- turn, then runs that have left -> its live runs
local key = base .. 'turn:' .. ARGV[1]
leave(key, 2)
local runs = live(key)
return runs
