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
local last = found[2] and tonumber(found[1]) or last_of(ARGV[1], found[1])
return {last, found[2] and 1 or 0, found[3], found[4] or '', payloads}
