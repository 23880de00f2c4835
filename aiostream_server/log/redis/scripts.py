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
    start:S              HASH    fingerprint, node and run of an idempotency key
    turn:T               ZSET    the live runs of a conversation -> when they entered
    slots                HASH    run -> "node key user", the digests of whom it counts for
    slots:k:K, slots:u:U SETs    the same runs, by key and by user
    limits               HASH    those of the process that asked last
    queue                ZSET    runs that wait for a slot, in the order of their arrival
    queue:of             HASH    run -> "node key user"
    served               ZSET    keys and users that wait -> their place in the order of turns

A run belongs to the process in its `node`: events of any other are refused, so a process that was taken to have failed
cannot change what became of its runs. Numbers up to `reserved` may have been shown to viewers before they were written
here: a process that takes a run over continues behind it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

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
    def of(cls, body: str, functions: str = "") -> "Script":
        text = _NOW + functions + body
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_SLOTS: Final = """
local function send(node, ...) redis.call('PUBLISH', base .. 'node:' .. node, cmsgpack.pack({...})) end
local function parts(who) return string.match(who, '^(%S+) (%S+) (%S*)$') end
local function limit(name) return tonumber(redis.call('HGET', base .. 'limits', name) or 0) end

local function take(run, who)
    local node, key, user = parts(who)
    redis.call('HSET', base .. 'slots', run, who)
    redis.call('SADD', base .. 'slots:k:' .. key, run)
    if user ~= '' then redis.call('SADD', base .. 'slots:u:' .. user, run) end
    redis.call('SADD', base .. 'node:' .. node .. ':slots', run)
end

local function free(run)
    local who = redis.call('HGET', base .. 'slots', run)
    if not who then return end
    local node, key, user = parts(who)
    redis.call('HDEL', base .. 'slots', run)
    redis.call('SREM', base .. 'slots:k:' .. key, run)
    if user ~= '' then redis.call('SREM', base .. 'slots:u:' .. user, run) end
    redis.call('SREM', base .. 'node:' .. node .. ':slots', run)
end

-- 0: there is a slot; 1, 2, 3: the limit of all runs, of the key, of the user
local function obstacle(who)
    local _, key, user = parts(who)
    if redis.call('HLEN', base .. 'slots') >= limit('max_runs') then return 1 end
    local most = limit('max_runs_per_key')
    if most > 0 and redis.call('SCARD', base .. 'slots:k:' .. key) >= most then return 2 end
    most = limit('max_runs_per_user')
    if most > 0 and user ~= '' and redis.call('SCARD', base .. 'slots:u:' .. user) >= most then return 3 end
    return 0
end

local function place(name, is_new)
    local found = redis.call('ZSCORE', base .. 'served', name)
    if found and not is_new then return tonumber(found) end
    local last = redis.call('ZREVRANGE', base .. 'served', 0, 0, 'WITHSCORES')
    local at = tonumber(last[2] or 0) + 1
    redis.call('ZADD', base .. 'served', at, name)
    return at
end

local function enqueue(run, who)
    local _, key, user = parts(who)
    local last = redis.call('ZREVRANGE', base .. 'queue', 0, 0, 'WITHSCORES')
    redis.call('ZADD', base .. 'queue', tonumber(last[2] or 0) + 1, run)
    redis.call('HSET', base .. 'queue:of', run, who)
    place(key)
    place(key .. ' ' .. user)
end

local function dequeue(run)
    redis.call('ZREM', base .. 'queue', run)
    redis.call('HDEL', base .. 'queue:of', run)
    if redis.call('ZCARD', base .. 'queue') == 0 then redis.call('DEL', base .. 'served') end
end

-- Give free slots to those that wait: keys in turn, the users of a key in turn, each in the order of arrival.
local function grant()
    while redis.call('ZCARD', base .. 'queue') > 0 and redis.call('HLEN', base .. 'slots') < limit('max_runs') do
        local best, best_who, best_key, best_user, known = nil, nil, nil, nil, {}
        for _, run in ipairs(redis.call('ZRANGE', base .. 'queue', 0, -1)) do
            local who = redis.call('HGET', base .. 'queue:of', run)
            local _, key, user = parts(who)
            local name = key .. ' ' .. user
            if known[name] == nil then
                known[name] = obstacle(who) == 0
                if known[name] then
                    local at_key, at_user = place(key), place(name)
                    if not best or at_key < best_key or (at_key == best_key and at_user < best_user) then
                        best, best_who, best_key, best_user = run, who, at_key, at_user
                    end
                end
            end
        end
        if not best then return end
        local node, key, user = parts(best_who)
        take(best, best_who)
        place(key, true)
        place(key .. ' ' .. user, true)
        dequeue(best)
        send(node, 'slot', best)
    end
end

local function give_back_all(node)
    for _, run in ipairs(redis.call('SMEMBERS', base .. 'node:' .. node .. ':slots')) do free(run) end
    local waiting = redis.call('HGETALL', base .. 'queue:of')
    for at = 1, #waiting, 2 do
        if parts(waiting[at + 1]) == node then dequeue(waiting[at]) end
    end
    grant()
end

-- Where another key has more in a full queue, its newest gives way.
local function make_room(who)
    local _, own = parts(who)
    local counts, newest, longest = {}, {}, nil
    for _, run in ipairs(redis.call('ZRANGE', base .. 'queue', 0, -1)) do
        local _, key = parts(redis.call('HGET', base .. 'queue:of', run))
        counts[key], newest[key] = (counts[key] or 0) + 1, run
        if not longest or counts[key] > counts[longest] then longest = key end
    end
    if not longest or counts[longest] <= (counts[own] or 0) + 1 then return false end
    local run = newest[longest]
    local node = parts(redis.call('HGET', base .. 'queue:of', run))
    dequeue(run)
    send(node, 'refused', run)
    return true
end
"""

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

RETIRE: Final = Script.of(
    """
-- node: it ends, and drives no run any more
redis.call('ZREM', base .. 'nodes', ARGV[1])
redis.call('DEL', base .. 'node:' .. ARGV[1] .. ':stops')
give_back_all(ARGV[1])
return 1
""",
    _SLOTS,
)

CLAIM: Final = Script.of(
    """
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
give_back_all(failed)
return runs
""",
    _SLOTS,
)

WRITE: Final = Script.of("""
-- node, lifetime_ms, then for each run the arguments of a `WriteOrder`: words in one, since each costs the caller
-- time (id, expected, reserved, keep_from, retention_ms, is_viewed, has_birth, has_card, and the last number of each
-- payload); the birth, if any (owner, created, the digests of owner, conversation and turn, start); the card, if any;
-- the payloads
-- -> for each run: the number of its last event here, or -1 (unknown), or -2 (of another process); and receivers
local node, lifetime = ARGV[1], tonumber(ARGV[2])
local at, replies = 3, {}
while at <= #ARGV do
    local words = {}
    for word in string.gmatch(ARGV[at], '%S+') do words[#words + 1] = word end
    local run, expected, reserved, keep_from, retention, is_viewed, has_birth, has_card = unpack(words, 1, 8)
    local birth, card
    at = at + 1
    if has_birth == '1' then birth, at = cmsgpack.unpack(ARGV[at]), at + 1 end
    if has_card == '1' then card, at = ARGV[at], at + 1 end
    local payloads = at - 9
    at = at + #words - 8
    local key = base .. 'run:' .. run
    local events, mine = key .. ':ev', base .. 'node:' .. node .. ':runs'
    local found = redis.call('HMGET', key, 'node', 'last', 'finished')
    local last, receivers = tonumber(found[2]), -1
    if not found[1] and birth then
        local owner, created, digest, talk, turn, start = unpack(birth)
        redis.call('HSET', key, 'node', node, 'owner', owner, 'last', expected, 'digest', digest)
        if turn ~= '' then redis.call('HSET', key, 'turn', turn) end
        if start ~= '' then redis.call('HSET', key, 'start', start) end
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
        for word = 9, #words do
            redis.call('XADD', events, words[word] .. '-0', 'd', ARGV[payloads + word])
            last = tonumber(words[word])
        end
        redis.call('HSET', key, 'last', last, 'reserved', reserved)
        if expected == '0' and #words > 8 then redis.call('PEXPIRE', events, lifetime) end
        if tonumber(keep_from) > 1 then redis.call('XTRIM', events, 'MINID', keep_from) end
        if card then redis.call('HSET', key, 'card', card) end
        if tonumber(retention) >= 0 then
            local owner, turn, start = unpack(redis.call('HMGET', key, 'owner', 'turn', 'start'))
            redis.call('HSET', key, 'finished', 1)
            redis.call('PEXPIRE', key, retention)
            redis.call('PEXPIRE', events, retention)
            redis.call('SET', base .. 'gone:' .. run, owner, 'PX', retention + 86400000)
            redis.call('SREM', mine, run)
            if turn then redis.call('ZREM', base .. 'turn:' .. turn, run) end
            if start then redis.call('PEXPIRE', base .. 'start:' .. start, retention) end
        end
        if is_viewed == '1' or tonumber(retention) >= 0 then
            for word = 9, #words do
                receivers = redis.call('PUBLISH', base .. 'live:' .. run, ARGV[payloads + word])
            end
        end
    end
    replies[#replies + 1] = last
    replies[#replies + 1] = receivers
end
return replies
""")


class Chunk(Protocol):
    """Packed events; `last` is the number of the last one."""

    @property
    def last(self) -> int: ...

    @property
    def payload(self) -> bytes: ...


class WriteOrder(NamedTuple):
    """What `WRITE` is to do for one run. `expected` is the number of the last event that Redis should have; events
    below `keep_from` are dropped. `retention_ms` is -1 for a run that goes on."""

    run_id: str
    expected: int
    reserved: int
    keep_from: int
    retention_ms: int
    is_viewed: bool

    def arguments(self, chunks: Sequence[Chunk], *, birth: bytes | None, card: bytes | None) -> list[str | bytes]:
        """Redis takes the `birth` where it does not know the run, and a new `card`."""
        run_id, expected, reserved, keep_from, retention_ms, is_viewed = self
        words = f"{run_id} {expected} {reserved} {keep_from} {retention_ms} {is_viewed:d} {birth is not None:d}"
        lasts = "".join(f" {chunk.last}" for chunk in chunks)
        arguments: list[str | bytes] = [f"{words} {card is not None:d}{lasts}"]
        arguments += (each for each in (birth, card) if each is not None)
        arguments += (chunk.payload for chunk in chunks)
        return arguments


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
-- run, "deleted" or nothing: keep it no longer; one that was deleted is not even remembered
local key = base .. 'run:' .. ARGV[1]
local digest = redis.call('HGET', key, 'digest')
if digest then redis.call('ZREM', base .. 'of:' .. digest, ARGV[1]) end
redis.call('DEL', key, key .. ':ev')
if ARGV[2] == 'deleted' then redis.call('DEL', base .. 'gone:' .. ARGV[1]) end
return 1
""")

ENTER: Final = Script.of(
    """
-- run, "node key user", max_runs, max_runs_per_key, max_runs_per_user, queue_size, then runs that have left
-- -> 1: it has a slot; 2: it waits; 0: it is refused. And the obstacle
local run, who = ARGV[1], ARGV[2]
redis.call('HSET', base .. 'limits', 'max_runs', ARGV[3], 'max_runs_per_key', ARGV[4], 'max_runs_per_user', ARGV[5])
if redis.call('HEXISTS', base .. 'slots', run) == 1 then return {1, 0} end
for at = 7, #ARGV do
    free(ARGV[at])
    dequeue(ARGV[at])
end
grant()
local why = obstacle(who)
if why == 0 then
    take(run, who)
    return {1, 0}
end
if redis.call('HEXISTS', base .. 'queue:of', run) == 1 then return {2, why} end
while redis.call('ZCARD', base .. 'queue') >= tonumber(ARGV[6]) do
    if not make_room(who) then return {0, why} end
end
enqueue(run, who)
return {2, why}
""",
    _SLOTS,
)

LEAVE: Final = Script.of(
    """
-- runs: each gives its slot, or its place in the queue, back
for _, run in ipairs(ARGV) do
    free(run)
    dequeue(run)
end
grant()
return 1
""",
    _SLOTS,
)

GRANT: Final = Script.of(
    """
-- max_runs, max_runs_per_key, max_runs_per_user: new limits
redis.call('HSET', base .. 'limits', 'max_runs', ARGV[1], 'max_runs_per_key', ARGV[2], 'max_runs_per_user', ARGV[3])
grant()
return 1
""",
    _SLOTS,
)

HELD: Final = Script.of(
    """
-- runs -> for each whether it has a slot (1), waits (2), or neither (0)
local found = {}
for at, run in ipairs(ARGV) do
    if redis.call('HEXISTS', base .. 'slots', run) == 1 then
        found[at] = 1
    else
        found[at] = 2 * redis.call('HEXISTS', base .. 'queue:of', run)
    end
end
return found
""",
    _SLOTS,
)

RESTORE: Final = Script.of(
    """
-- node, then run and "node key user" of each that has a slot: Redis may have lost it
for at = 2, #ARGV, 2 do
    local node = redis.call('HGET', base .. 'run:' .. ARGV[at], 'node')
    if not node or node == ARGV[1] then take(ARGV[at], ARGV[at + 1]) end
end
return 1
""",
    _SLOTS,
)

_TURNS: Final = """
local function leave(turn, first)
    for at = first, #ARGV do redis.call('ZREM', base .. 'turn:' .. turn, ARGV[at]) end
end

-- The live runs of a conversation, first those that entered first. One that was never written has failed.
local function live(turn)
    local key, runs = base .. 'turn:' .. turn, {}
    local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for at = 1, #found, 2 do
        local node, finished = unpack(redis.call('HMGET', base .. 'run:' .. found[at], 'node', 'finished'))
        if finished or (not node and now - found[at + 1] > 10000) then
            redis.call('ZREM', key, found[at])
        else
            runs[#runs + 1] = found[at]
        end
    end
    return runs
end
"""

TURN: Final = Script.of(
    """
-- turn, then runs that have left -> its live runs
leave(ARGV[1], 2)
return live(ARGV[1])
""",
    _TURNS,
)

TURN_ENTER: Final = Script.of(
    """
-- turn, run, how many may be live before it (-1: any), lifetime_ms, then runs that have left
-- -> whether it entered, the live runs before it
leave(ARGV[1], 5)
local key, run, most = base .. 'turn:' .. ARGV[1], ARGV[2], tonumber(ARGV[3])
local runs, before = live(ARGV[1]), {}
for _, each in ipairs(runs) do
    if each == run then return {1, before} end
    before[#before + 1] = each
end
if most >= 0 and #before > most then return {0, before} end
local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
redis.call('ZADD', key, math.max(now, tonumber(last[2] or 0) + 1), run)
redis.call('PEXPIRE', key, ARGV[4])
return {1, before}
""",
    _TURNS,
)

TURN_LEAVE: Final = Script.of(
    """
-- turn, runs that have left
leave(ARGV[1], 2)
return 1
""",
    _TURNS,
)

START: Final = Script.of("""
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
""")

STARTED: Final = Script.of("""
-- start, node, run: it was started. Without a run: it was not
local key = base .. 'start:' .. ARGV[1]
if redis.call('HGET', key, 'node') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('DEL', key) end
redis.call('HSET', key, 'run', ARGV[3])
if redis.call('EXISTS', base .. 'run:' .. ARGV[3]) == 1 then
    redis.call('HSET', base .. 'run:' .. ARGV[3], 'start', ARGV[1])
end
return 1
""")

FORGET_START: Final = Script.of("""
-- start, run: the run is not to be found any more
local key = base .. 'start:' .. ARGV[1]
if redis.call('HGET', key, 'run') == ARGV[2] then return redis.call('DEL', key) end
return 0
""")
