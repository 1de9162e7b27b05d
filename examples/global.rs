//! A program whose every allocation is a block of the heap: words are counted by several threads, and the heap says
//! what that took.
//!
//! `cargo run --release --features global-alloc --example global`

use highwater::heap::Global;
use std::collections::BTreeMap;
use std::thread;

#[global_allocator]
static GLOBAL: Global = Global::new();

/// How often each word of a text occurs.
fn count(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

fn main() {
    let text = include_str!("../README.md");
    let parts: Vec<_> = text.split_inclusive("\n\n").map(String::from).collect();
    let counters: Vec<_> = parts
        .chunks(parts.len().div_ceil(4))
        .map(|part| {
            let part = part.concat();
            thread::spawn(move || count(&part))
        })
        .collect();
    let mut counts = BTreeMap::<String, usize>::new();
    for counter in counters {
        // (What another thread allocated is freed by this one.)
        for (word, times) in counter.join().expect("it only counts") {
            *counts.entry(word).or_default() += times;
        }
    }
    let mut common: Vec<_> = counts.iter().collect();
    common.sort_by_key(|&(word, times)| (std::cmp::Reverse(times), word));
    for (word, times) in common.iter().take(5) {
        println!("{times:>5} {word}");
    }

    let heap = Global::heap().expect("something was allocated");
    assert!(heap.contains(parts[0].as_ptr()), "a string's bytes are the heap's");
    let stats = heap.stats();
    println!("{} live blocks of {} bytes", stats.live_blocks, stats.live_bytes);
    println!("{} bytes committed in {} steps", stats.region.committed, stats.region.commits);
}
