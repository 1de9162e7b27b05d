//! A scratch arena in a loop: every round allocates what it likes, and nothing is ever freed one by one.
//!
//! `cargo run --release --example scratch_loop`

use highwater::Arena;

/// A line of some log, made of a seed: the program needs no input.
fn line(seed: u64) -> String {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    format!(
        "level={} user=u{} took={}ms",
        ["info", "warn", "error"][mixed as usize % 3],
        mixed % 97,
        mixed % 1000
    )
}

fn main() {
    let mut arena = Arena::builder().name("scratch").build();
    let mut slowest = (0u32, String::new());

    for round in 0..1000u64 {
        // Whatever lives in this scope is gone at the end of the round; its addresses are used again.
        let scope = arena.scope();
        let lines = scope.alloc_iter((0..100).map(|i| &*scope.alloc_str(&line(round * 100 + i))));
        let fields = scope.alloc_iter(lines.iter().map(|line| {
            let took = line.rsplit('=').next().and_then(|text| text.trim_end_matches("ms").parse().ok());
            (took.unwrap_or(0u32), *line)
        }));
        fields.sort_unstable_by_key(|&(took, _)| took);
        if let Some(&(took, line)) = fields.last()
            && took > slowest.0
        {
            slowest = (took, line.to_owned());
        }
    }

    println!("the slowest of 100,000 lines: {}", slowest.1);
    let stats = arena.stats();
    println!(
        "1,000 rounds used {} KiB of committed memory again and again: {} growths, {} faults, {} µs growing",
        stats.committed / 1024,
        stats.commits,
        stats.faults,
        stats.growth_ns / 1000
    );
}
