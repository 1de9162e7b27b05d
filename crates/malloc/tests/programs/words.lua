-- Tables, strings and closures, and the collector that frees them.
local scale = tonumber(arg[1])
local function tree(depth)
    if depth == 0 then
        return {}
    end
    return { tree(depth - 1), tree(depth - 1) }
end
local function count(node)
    return node[1] and 1 + count(node[1]) + count(node[2]) or 1
end
local sum, words = 0, {}
for round = 1, 5 * scale do
    sum = sum + count(tree(12))
    for i = 1, 4000 do
        words[#words + 1] = ("word%d"):format(i * 7919 % 10007):rep(i % 5)
    end
    table.sort(words)
    local text = table.concat(words, " ")
    sum = sum + #text:gsub("7", "seven")
    if round % 2 == 0 then
        words = {}
    end
end
collectgarbage()
print(sum, #words)
