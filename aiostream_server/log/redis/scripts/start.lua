-- start, fingerprint, node, lifetime_ms -> 'claimed': the caller starts the run; 'conflict'; 'starting': another does;
-- or the run
local key = base .. 'start:' .. ARGV[1]
local fingerprint, node, run = unpack(redis.call('HMGET', key, 'fingerprint', 'node', 'run'))
if fingerprint and fingerprint ~= ARGV[2] then return {'conflict'} end
if run then return {'run', run} end
if node and node ~= ARGV[3] and redis.call('ZSCORE', base .. 'nodes', node) then return {'starting'} end
redis.call('HSET', key, 'fingerprint', ARGV[2], 'node', ARGV[3])
redis.call('PEXPIRE', key, ARGV[4])
return {'claimed'}
