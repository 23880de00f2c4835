"""Every script that Redis runs for the server. Each is one atomic step, and harmless if it is sent twice.

KEYS[1] is the beginning of all keys. It is a hash tag, so that a cluster keeps them together, and scripts can derive
the others from it. "Now" is always Redis' own clock, in milliseconds.

    nodes                ZSET    process -> the end of its lease
    seen, grace          when any process renewed its lease last; until when none is taken to have failed
    node:N:runs          SET     the live runs that process N drives
    node:N:slots         HASH    the slots that it holds: run -> key and user
    node:N:stops         HASH    its runs that others asked to end: run -> reason
    run:R                HASH    node, owner, card, last (number), reserved (number), finished, turn, start
    run:R:ev             STREAM  id: the number of its last event; field d: packed events
    of:OWNER             ZSET    the owner's runs, by the time of their start
    latest:TALK          the run that was started last in a conversation
    gone:R               who owned a run that is kept no longer

A run belongs to the process in its `node`: events of any other are refused, so a process that was taken to have failed
cannot change what became of its runs. Numbers up to `reserved` may have been shown to viewers before they were written
here: whoever takes a run over continues behind it.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local base = KEYS[1]
"""


@dataclass(frozen=True, slots=True)
class Script:
    text: str = field(repr=False)
    sha: str

    @classmethod
    def of(cls, body: str) -> "Script":
        text = _NOW + body
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


RENEW: Final = Script.of("""
-- node, lease_ms -> whether Redis knew it, nodes whose lease is over, {run, reason, ...} to end
local node, lease = ARGV[1], tonumber(ARGV[2])
local seen = tonumber(redis.call('GET', base .. 'seen') or 0)
local grace = tonumber(redis.call('GET', base .. 'grace') or 0)
if now - seen > lease / 2 then  -- nobody could renew: Redis was away
    grace = now + lease
    redis.call('SET', base .. 'grace', grace)
end
redis.call('SET', base .. 'seen', now)
local known = redis.call('ZSCORE', base .. 'nodes', node)
redis.call('ZADD', base .. 'nodes', now + lease, node)
local failed = {}
if now >= grace then failed = redis.call('ZRANGEBYSCORE', base .. 'nodes', '-inf', '(' .. now) end
local stops = redis.call('HGETALL', base .. 'node:' .. node .. ':stops')
if #stops > 0 then redis.call('DEL', base .. 'node:' .. node .. ':stops') end
return {known and 1 or 0, failed, stops}
""")

RETIRE: Final = Script.of("""
-- node: it ends, and drives no run any more
redis.call('ZREM', base .. 'nodes', ARGV[1])
redis.call('DEL', base .. 'node:' .. ARGV[1] .. ':stops')
return 1
""")

CLAIM: Final = Script.of("""
-- failed node, own node -> the runs that are now the caller's
local failed, node = ARGV[1], ARGV[2]
local deadline = tonumber(redis.call('ZSCORE', base .. 'nodes', failed))
if not deadline or deadline > now or failed == node then return {} end
redis.call('ZREM', base .. 'nodes', failed)
local runs = {}
for _, run in ipairs(redis.call('SMEMBERS', base .. 'node:' .. failed .. ':runs')) do
    if redis.call('HGET', base .. 'run:' .. run, 'node') == failed then
        redis.call('HSET', base .. 'run:' .. run, 'node', node)
        redis.call('SADD', base .. 'node:' .. node .. ':runs', run)
        runs[#runs + 1] = run
    end
end
redis.call('DEL', base .. 'node:' .. failed .. ':runs', base .. 'node:' .. failed .. ':stops')
return runs
""")

WRITE: Final = Script.of("""
-- node, lifetime_ms, then for each run: id, expected, reserved, keep_from, card, owner, created, owner's digest,
-- conversation's digest, retention_ms (-1: it goes on), is_viewed, count, and count times: last number, payload
-- -> for each run: the number of its last event here, or -1 (unknown), or -2 (of another process); and receivers
local node, lifetime = ARGV[1], tonumber(ARGV[2])
local at, replies = 3, {}
while at <= #ARGV do
    local run, expected, reserved, keep_from, card, owner, created, digest, talk, retention, is_viewed, count =
        unpack(ARGV, at, at + 11)
    local chunks = at + 12
    at = chunks + 2 * count
    local key = base .. 'run:' .. run
    local events, mine = key .. ':ev', base .. 'node:' .. node .. ':runs'
    local found = redis.call('HMGET', key, 'node', 'last', 'finished')
    local last, receivers = tonumber(found[2]), -1
    if not found[1] and owner ~= '' then
        redis.call('HSET', key, 'node', node, 'owner', owner, 'last', expected, 'digest', digest)
        redis.call('PEXPIRE', key, lifetime)
        redis.call('SADD', mine, run)
        redis.call('ZADD', base .. 'of:' .. digest, created, run)
        redis.call('PEXPIRE', base .. 'of:' .. digest, 2 * lifetime)
        if talk ~= '' then redis.call('SET', base .. 'latest:' .. talk, run, 'PX', lifetime) end
        last = tonumber(expected)
    end
    if not last then
        last = -1
    elseif found[1] and found[1] ~= node then
        last = -2
    elseif last == tonumber(expected) and not found[3] then
        for chunk = chunks, at - 2, 2 do
            redis.call('XADD', events, ARGV[chunk] .. '-0', 'd', ARGV[chunk + 1])
            last = tonumber(ARGV[chunk])
        end
        redis.call('HSET', key, 'last', last, 'reserved', reserved)
        if expected == '0' and tonumber(count) > 0 then redis.call('PEXPIRE', events, lifetime) end
        if tonumber(keep_from) > 1 then redis.call('XTRIM', events, 'MINID', keep_from) end
        if card ~= '' then redis.call('HSET', key, 'card', card) end
        if tonumber(retention) >= 0 then
            local turn, start = unpack(redis.call('HMGET', key, 'turn', 'start'))
            owner = redis.call('HGET', key, 'owner')
            redis.call('HSET', key, 'finished', 1)
            redis.call('PEXPIRE', key, retention)
            redis.call('PEXPIRE', events, retention)
            redis.call('SET', base .. 'gone:' .. run, owner, 'PX', retention + 86400000)
            redis.call('SREM', mine, run)
            if turn then redis.call('ZREM', base .. 'turn:' .. turn, run) end
            if start then redis.call('PEXPIRE', base .. 'start:' .. start, retention) end
        end
        if is_viewed == '1' or tonumber(retention) >= 0 then
            for chunk = chunks, at - 2, 2 do
                receivers = redis.call('PUBLISH', base .. 'live:' .. run, ARGV[chunk + 1])
            end
        end
    end
    replies[#replies + 1] = last
    replies[#replies + 1] = receivers
end
return replies
""")

READ: Final = Script.of("""
-- run, after, count -> last number, whether it has finished, node, card, payloads behind `after`. Or nothing
local key = base .. 'run:' .. ARGV[1]
local found = redis.call('HMGET', key, 'last', 'finished', 'node', 'card')
if not found[1] then return {} end
local payloads = {}
if tonumber(ARGV[3]) > 0 then
    local from = string.format('%.0f-0', tonumber(ARGV[2]) + 1)
    for _, entry in ipairs(redis.call('XRANGE', key .. ':ev', from, '+', 'COUNT', ARGV[3])) do
        payloads[#payloads + 1] = entry[2][2]
    end
end
return {tonumber(found[1]), found[2] and 1 or 0, found[3], found[4] or '', payloads}
""")

FIND: Final = Script.of("""
-- run -> node, owner, last, reserved, finished, card. Or the owner of one that is kept no longer. Or nothing
local found = redis.call('HMGET', base .. 'run:' .. ARGV[1], 'node', 'owner', 'last', 'reserved', 'finished', 'card')
if found[1] then return found end
local owner = redis.call('GET', base .. 'gone:' .. ARGV[1])
return owner and {owner} or {}
""")

LATEST: Final = Script.of("""
-- conversation's digest -> a run, or nil
return redis.call('GET', base .. 'latest:' .. ARGV[1])
""")

LIST: Final = Script.of("""
-- owner's digest, limit -> for each run, newest first: id, node, last, finished, card
local key, found, from = base .. 'of:' .. ARGV[1], {}, 0
while #found < tonumber(ARGV[2]) do
    local runs = redis.call('ZREVRANGE', key, from, from + 99)
    if #runs == 0 then break end
    for _, run in ipairs(runs) do
        local fields = redis.call('HMGET', base .. 'run:' .. run, 'node', 'last', 'finished', 'card')
        if not fields[1] then
            redis.call('ZREM', key, run)
        else
            from = from + 1
            if #found < tonumber(ARGV[2]) then
                found[#found + 1] = {run, fields[1], fields[2], fields[3] or '', fields[4] or ''}
            end
        end
    end
end
return found
""")

STOP: Final = Script.of("""
-- run, reason: ask the process that drives it to end it
local key = base .. 'run:' .. ARGV[1]
local node, finished = unpack(redis.call('HMGET', key, 'node', 'finished'))
if not node or finished then return 0 end
redis.call('HSETNX', base .. 'node:' .. node .. ':stops', ARGV[1], ARGV[2])
return redis.call('PUBLISH', base .. 'node:' .. node, cmsgpack.pack({'stop', ARGV[1], ARGV[2]}))
""")

SEND: Final = Script.of("""
-- node, message -> how many got it
return redis.call('PUBLISH', base .. 'node:' .. ARGV[1], ARGV[2])
""")

DROP: Final = Script.of("""
-- run: keep it no longer
local key = base .. 'run:' .. ARGV[1]
local digest = redis.call('HGET', key, 'digest')
if digest then redis.call('ZREM', base .. 'of:' .. digest, ARGV[1]) end
redis.call('DEL', key, key .. ':ev')
return 1
""")
