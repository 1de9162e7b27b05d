# Many small objects of every kind, some large ones, and threads; prints what does not depend on the allocator.
import array, collections, hashlib, json, re, struct, sys, threading, zlib

scale = int(sys.argv[1])
words = [f"word{i * 7919 % 10007}" for i in range(2000 * scale)]
counted = collections.Counter(words)
tree = {}
for word in words:
    node = tree
    for letter in word:
        node = node.setdefault(letter, {})
    node["end"] = node.get("end", 0) + 1
text = json.dumps({"words": words, "tree": tree}, sort_keys=True)
packed = zlib.compress(text.encode())
assert json.loads(zlib.decompress(packed)) == {"words": words, "tree": tree}
numbers = array.array("q", range(20000 * scale))
numbers.extend(numbers[::-1])
queue = collections.deque()
for i in range(5000 * scale):
    queue.append(bytes(i % 300))
    if i % 3 == 0:
        queue.popleft()
sums = []


def work(number):
    lists = [[j] * (j % 50) for j in range(1000 * scale)]
    lists.sort(key=len)
    sums.append(sum(map(len, lists)) + number)


threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
found = re.findall(r"word(\d)\d*7", text)
block = bytearray()
for i in range(1000 * scale):
    block += struct.pack("<IQ", i, i * i)
answer = hashlib.sha256(repr((sorted(counted.items()), sorted(sums), len(queue), len(found), sum(numbers))).encode() + block)
print(answer.hexdigest())
