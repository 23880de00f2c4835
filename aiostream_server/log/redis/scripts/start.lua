-- start, fingerprint, node, lifetime_ms, whether the caller has waited -> 'claimed': the caller starts the run; 'conflict';
-- 'starting': another does; 'behind': Redis has lost data or was away a moment ago, and may not have the key yet; or the run
local key = base .. 'start:' .. ARGV[1]
local fingerprint, node, run = unpack(redis.call('HMGET', key, 'fingerprint', 'node', 'run'))
if fingerprint and fingerprint ~= ARGV[2] then return {'conflict'} end
if run then return {'run', run} end
if node and node ~= ARGV[3] and redis.call('ZSCORE', base .. 'nodes', node) then return {'starting'} end
if not fingerprint and ARGV[5] == '0' and redis.call('EXISTS', base .. 'behind') == 1 then return {'behind'} end
redis.call('HSET', key, 'fingerprint', ARGV[2], 'node', ARGV[3])
redis.call('PEXPIRE', key, ARGV[4])
return {'claimed'}
