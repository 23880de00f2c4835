-- turn, then runs that have left -> its live runs
leave(ARGV[1], 2)
return live(ARGV[1])
