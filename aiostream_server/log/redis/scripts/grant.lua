-- max_runs, max_runs_per_key, max_runs_per_user: new limits
redis.call('HSET', base .. 'limits', 'max_runs', ARGV[1], 'max_runs_per_key', ARGV[2], 'max_runs_per_user', ARGV[3])
grant()
return 1
