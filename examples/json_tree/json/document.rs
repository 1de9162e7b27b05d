//! A document to parse, made up: the same one for the same size and seed.

use std::fmt::Write;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len() as u64) as usize]
    }
}

const FIRST: [&str; 8] = ["Ada", "Grace", "Edsger", "Barbara", "Alan", "Zoë", "Søren", "Łukasz"];
const LAST: [&str; 8] =
    ["Lovelace", "Hopper", "Dijkstra", "Liskov", "Turing", "Müller", "Nuñez", "O\\u2019Brien"];
const CITIES: [&str; 6] = ["Zürich", "Oslo", "\\u6771\\u4eac", "São Paulo", "Kraków", "New York"];
const WORDS: [&str; 12] = [
    "memory",
    "that",
    "grows",
    "by",
    "being",
    "touched",
    "\\\"quoted\\\"",
    "a\\tb",
    "line\\n",
    "\\ud83d\\ude00",
    "…",
    "C:\\\\temp",
];

/// What one asks of such a document.
pub const QUERIES: [&str; 7] = [
    "users[0].name",
    "users[*].address.city",
    "count(users[*].orders[*])",
    "sum(users[*].orders[*].lines[*].price)",
    "mean(users[*].age)",
    "max(users[*].address.geo[0])",
    "prices[\"part 0000500\"]",
];

/// A document of about so many bytes (never fewer): users with orders, and one large object.
pub fn generate(bytes: usize, seed: u64) -> String {
    let mut random = Random(seed);
    let mut out = String::with_capacity(bytes + (1 << 13));
    let _ = write!(out, "{{\n  \"version\": 3,\n  \"seed\": {seed},\n  \"users\": [");
    let mut id = 0;
    while id == 0 || out.len() < bytes / 16 * 15 {
        out.push_str(if id > 0 { ",\n    " } else { "\n    " });
        user(&mut out, id, &mut random);
        id += 1;
    }
    out.push_str("\n  ],\n  \"prices\": {");
    let mut part = 0;
    while part == 0 || out.len() < bytes {
        let comma = if part > 0 { "," } else { "" };
        let _ = write!(out, "{comma}\n    \"part {part:07}\": {}", cents(&mut random, 100_000));
        part += 1;
    }
    out.push_str("\n  }\n}\n");
    out
}

fn cents(random: &mut Random, most: u64) -> String {
    format!("{}.{:02}", random.below(most), random.below(100))
}

fn user(out: &mut String, id: usize, random: &mut Random) {
    let (first, last) = (random.of(&FIRST), random.of(&LAST));
    let _ = write!(out, "{{\"id\": {id}, \"name\": \"{first} {last}\", \"age\": {}, ", 18 + random.below(70));
    let _ = write!(out, "\"active\": {}, \"manager\": ", random.below(3) > 0);
    let _ = match random.below(id as u64 + 1) {
        0 => write!(out, "null"),
        manager => write!(out, "{}", manager - 1),
    };
    let _ =
        write!(out, ", \"address\": {{\"street\": \"{} Street {}\", ", random.of(&LAST), random.below(200));
    let _ = write!(out, "\"city\": \"{}\", \"zip\": \"{:05}\", ", random.of(&CITIES), random.below(100_000));
    let (north, east) =
        (random.below(180_000_000) as f64 / 1e6 - 90.0, random.below(360_000_000) as f64 / 1e6);
    let _ = write!(out, "\"geo\": [{north:.6}, {east:e}]}}, \"bio\": \"");
    for i in 0..random.below(20) {
        let _ = write!(out, "{}{}", if i > 0 { " " } else { "" }, random.of(&WORDS));
    }
    out.push_str("\", \"tags\": [");
    for i in 0..random.below(5) {
        let _ = write!(out, "{}\"{}\"", if i > 0 { ", " } else { "" }, random.of(&WORDS));
    }
    out.push_str("], \"orders\": [");
    for i in 0..random.below(4) {
        let comma = if i > 0 { ", " } else { "" };
        let _ = write!(out, "{comma}{{\"number\": {}, \"lines\": [", random.below(1 << 40));
        for line in 0..1 + random.below(3) {
            let comma = if line > 0 { ", " } else { "" };
            let _ = write!(
                out,
                "{comma}{{\"part\": {}, \"price\": {}, ",
                random.below(10_000),
                cents(random, 1000)
            );
            let _ = write!(out, "\"count\": {}}}", 1 + random.below(9));
        }
        out.push_str("]}");
    }
    out.push_str("]}");
}
