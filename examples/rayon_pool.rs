//! Jobs on many threads, each with an arena from a pool: texts are taken apart, counted and summed up, and what a job
//! needed for that is given back when the next text comes.
//!
//! `cargo run --release --example rayon_pool`

use highwater::{Arena, ArenaPool, SharedArena};
use rayon::prelude::*;
use std::time::Instant;

const TEXTS: u64 = 20_000;

const WORDS: [&str; 16] = [
    "tide", "head", "tail", "guard", "page", "frontier", "arena", "scope", "frame", "limit", "step", "check",
    "cursor", "region", "heap", "cause",
];

/// A text made of a seed: the program needs no input.
fn write_text(arena: &Arena, seed: u64) -> &str {
    let word = |i: u64| {
        let mixed = (seed * 200 + i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        WORDS[((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 60) as usize]
    };
    let words = arena.alloc_iter((0..200).map(word));
    arena.alloc_str(&words.join(" "))
}

/// The word that a text has most often, and how often.
fn most_frequent<'a>(arena: &'a Arena, text: &'a str) -> (usize, &'a str) {
    let words = arena.alloc_iter(text.split(' '));
    words.sort_unstable();
    let runs = arena.alloc_iter(words.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])));
    runs.iter().max().copied().expect("a text has words")
}

fn main() {
    let pool = ArenaPool::builder().arenas(|| Arena::builder().name("text")).build();
    // What is kept of all of them lies in one arena, whichever thread put it there.
    let kept = SharedArena::builder().name("results").build();

    let begun = Instant::now();
    let results: Vec<(usize, &str)> = (0..TEXTS)
        .into_par_iter()
        .map_init(
            || (pool.get(), kept.local()),
            |(arena, kept), seed| {
                arena.reset();
                let text = write_text(arena, seed);
                let (count, word) = most_frequent(arena, text);
                (count, &*kept.alloc_str(word))
            },
        )
        .collect();
    let took = begun.elapsed();

    let (count, word) = results.iter().max().expect("there are texts");
    println!("{TEXTS} texts in {took:.1?} on {} threads", rayon::current_num_threads());
    println!("the most frequent word of one: {word}, {count} times");
    println!("arenas that wait: {}, with {} KiB", pool.idle(), pool.warm_bytes() >> 10);
    println!("results: {} KiB", kept.allocated_bytes() >> 10);
}
