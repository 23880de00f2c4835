-- run, "deleted" or nothing: keep it no longer; one that was deleted is not even remembered
local key = base .. 'run:' .. ARGV[1]
local digest = redis.call('HGET', key, 'digest')
if digest then redis.call('ZREM', base .. 'of:' .. digest, ARGV[1]) end
redis.call('DEL', key, key .. ':log')
if ARGV[2] == 'deleted' then redis.call('DEL', base .. 'gone:' .. ARGV[1]) end
return 1
