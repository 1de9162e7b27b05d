// Objects, maps, typed arrays and buffers, which node allocates outside of its own heap.
const scale = Number(process.argv[2]);
const zlib = require("zlib");
const crypto = require("crypto");
const words = Array.from({ length: 5000 * scale }, (_, i) => `word${(i * 7919) % 10007}`);
const counted = new Map();
for (const word of words) counted.set(word, (counted.get(word) ?? 0) + 1);
const text = JSON.stringify([...counted].sort());
const packed = zlib.gzipSync(text);
if (zlib.gunzipSync(packed).toString() !== text) throw new Error("not the same text");
const buffers = [];
for (let i = 0; i < 300 * scale; ++i) {
    buffers.push(Buffer.alloc(i * 100, i));
    if (i % 3 === 0) buffers.shift();
}
const hash = crypto.createHash("sha256").update(text);
for (const buffer of buffers) hash.update(buffer);
const array = new Float64Array(100000 * scale).map((_, i) => i / 2);
setTimeout(() => console.log(hash.digest("hex"), array.reduce((a, b) => a + b)), 1);
