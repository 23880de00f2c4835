-- A run's events are a list of payloads. Each begins with the number of its last event.
local function number_of(payload) return tonumber(string.match(payload, '^%d+')) end

-- The number of a live run's last event: the field `last` of its hash, or a later one that was appended since. And whether
-- there are any events.
local function last_of(events, told)
    local latest = redis.call('LINDEX', events, '-1')
    if not latest then return tonumber(told), false end
    return math.max(tonumber(told), number_of(latest)), true
end
