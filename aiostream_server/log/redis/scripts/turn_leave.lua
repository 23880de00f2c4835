-- turn, runs that have left
leave(ARGV[1], 2)
return 1
