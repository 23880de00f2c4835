-- The number of a live run's last event: the field `last` of its hash, or a later one that was appended since.
local function last_of(run, told)
    local top = redis.call('XREVRANGE', base .. 'run:' .. run .. ':ev', '+', '-', 'COUNT', 1)[1]
    return math.max(tonumber(told), top and tonumber(string.match(top[1], '^%d+')) or 0)
end
