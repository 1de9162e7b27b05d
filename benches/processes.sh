#!/usr/bin/env bash
# Whole programs under every allocator, interleaved: wall time, processor time and peak memory as multiples of glibc's.
#
#   benches/peers.sh DIR
#   cargo build --profile malloc -p highwater-malloc
#   HIGHWATER_PEERS=DIR benches/processes.sh [ROUNDS] [PROGRAM…]
#
# Programs: python, lua, gcc (those that are not installed are left out). HIGHWATER_MALLOC_LIB names our library if it is
# not target/malloc/libhighwater_malloc.so, and OURS the policies ("general", or "general stack bump").
set -uo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
rounds=7
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    rounds=$1
    shift
fi
programs=${*:-python lua gcc}
ours=${HIGHWATER_MALLOC_LIB:-${CARGO_TARGET_DIR:-$here/target}/malloc/libhighwater_malloc.so}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
unset LD_PRELOAD HIGHWATER_MALLOC

# Objects of many sizes that live for different times, and text that is put together, taken apart and sorted.
cat >"$work/python" <<'PY'
import json, random
random.seed(1)
class Node:
    __slots__ = ("key", "left", "right", "text")
    def __init__(self, key):
        self.key, self.left, self.right, self.text = key, None, None, "n%d" % key * (key % 7)
def insert(root, key):
    while True:
        side = "left" if key < root.key else "right"
        child = getattr(root, side)
        if child is None:
            setattr(root, side, Node(key))
            return
        root = child
total = 0
for turn in range(3):
    root = Node(500000)
    for _ in range(40000):
        insert(root, random.randrange(1000000))
    table = {str(i): [i, i * 2, "x" * (i % 100)] for i in range(100000)}
    text = json.dumps(table)
    again = json.loads(text)
    words = text.split(",")
    words.sort()
    counts = {}
    for word in words:
        counts[word[:6]] = counts.get(word[:6], ()) + (len(word),) if len(counts) < 2000 else ()
    grown = []
    for i in range(300000):
        grown.append((i, str(i)))
    del grown[::2]
    buffers = [bytearray(random.randrange(1, 20000)) for _ in range(3000)]
    total += len(again) + len(words) + len(counts) + len(grown) + sum(map(len, buffers))
print(total)
PY
cat >"$work/lua" <<'LUA'
local function tree(depth)
  if depth == 0 then return {} end
  return {tree(depth - 1), tree(depth - 1)}
end
local function count(node)
  if not node[1] then return 1 end
  return 1 + count(node[1]) + count(node[2])
end
local total = 0
for turn = 1, 8 do total = total + count(tree(15)) end
for turn = 1, 4 do
  local parts, index = {}, {}
  for i = 1, 150000 do
    parts[#parts + 1] = "item " .. i .. string.rep("x", i % 50)
    index[parts[#parts]] = {i, tostring(i)}
  end
  local text = table.concat(parts, ",")
  for word in text:gmatch("[^,]+") do total = total + #word + index[word][1] % 2 end
end
print(total)
LUA
cat >"$work/gcc.cc" <<'CC'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() {
    std::map<std::string, std::vector<std::function<int(int)>>> all;
    all["a"].push_back([](int n) { return n + 1; });
    std::regex word("[a-z]+");
    std::vector<std::string> names{"b", "a"};
    std::sort(names.begin(), names.end());
    for (auto &name : names) std::cout << std::regex_match(name, word) << all.size();
}
CC

# command PROGRAM: sets the array `command`, or fails if the program is not here.
command_of() {
    case $1 in
    python) command=(env PYTHONMALLOC=malloc PYTHONHASHSEED=0 python3 "$work/python") ;;
    lua) command=(lua5.4 "$work/lua") ;;
    gcc) command=(g++ -std=c++17 -O1 -c "$work/gcc.cc" -o "$work/gcc.o") ;;
    *) echo "no such program: $1" >&2 && exit 2 ;;
    esac
    local file=${command[0]}
    [ "$file" = env ] && file=python3
    type -P "$file" >/dev/null
}

# The allocators: a name, the library, the policy.
names=("glibc") libraries=("") policies=("")
if [ -e "$ours" ]; then
    for policy in ${OURS:-general}; do
        names+=("highwater $policy") libraries+=("$ours") policies+=("$policy")
    done
else
    echo "our library is not there: $ours" >&2
fi
for library in "${HIGHWATER_PEERS:-/nowhere}"/lib*-*.so; do
    [ -e "$library" ] || continue
    name=$(basename "$library" .so)
    name=${name#lib}
    names+=("${name/-/ }") libraries+=("$library") policies+=("")
done

# The figures of one run: seconds on the wall, of the processor, KiB. (The command under measurement is a child of the
# one that measures, which runs on the system's malloc.)
measure='
import os, resource, sys, time
library, policy, out = sys.argv[1:4]
environment = dict(os.environ)
if library: environment["LD_PRELOAD"] = library
if policy: environment["HIGHWATER_MALLOC"] = policy
start = time.monotonic()
child = os.fork()
if child == 0:
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.execvpe(sys.argv[4], sys.argv[4:], environment)
_, status, used = os.wait4(child, 0)
wall = time.monotonic() - start
with open(out, "a") as file:
    ok = status == 0
    print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss, file=file) if ok else print("nan nan nan", file=file)
'
type -P python3 >/dev/null || { echo "python3 measures, and is not here" >&2 && exit 2; }

summary='
import statistics, sys
names, files = sys.argv[1::2], sys.argv[2::2]
runs = [[list(map(float, line.split())) for line in open(file)] for file in files]
width = max(map(len, names))
print("  " + " " * width + "    wall s       cpu s    peak MiB   wall and peak of glibc=1, medians of the rounds ratios")
for name, mine in zip(names, runs):
    if any(figure != figure for run in mine for figure in run):
        print("  %-*s  it failed" % (width, name))
        continue
    middle = lambda n: statistics.median(run[n] for run in mine)
    ratio = lambda n: statistics.median(a[n] / b[n] for a, b in zip(mine, runs[0]))
    print("  %-*s  %8.3f    %8.3f    %8.1f       %.3f  cpu %.3f  peak %.3f"
          % (width, name, middle(0), middle(1), middle(2) / 1024, ratio(0), ratio(1), ratio(2)))
'

echo "load $(cut -d' ' -f1 /proc/loadavg), $(nproc) cores, $rounds interleaved rounds"
for program in $programs; do
    command_of "$program" || { echo "no $program here" && continue; }
    arguments=()
    for which in "${!names[@]}"; do
        : >"$work/$program.$which"
        arguments+=("${names[$which]}" "$work/$program.$which")
    done
    for ((round = 0; round < rounds; round++)); do
        for ((turn = 0; turn < ${#names[@]}; turn++)); do
            which=$(((round + turn) % ${#names[@]}))
            python3 -c "$measure" "${libraries[$which]}" "${policies[$which]}" "$work/$program.$which" "${command[@]}"
        done
    done
    echo "$program: ${command[*]##*/}"
    python3 -c "$summary" "${arguments[@]}"
done
