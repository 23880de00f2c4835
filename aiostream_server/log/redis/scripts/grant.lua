-- max_runs, max_runs_per_key, max_runs_per_user: new limits
open_queue({tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])}).grant()
return 1
