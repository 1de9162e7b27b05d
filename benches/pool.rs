//! Arenas that live shortly: from a pool, one allocation, and back, beside making and dropping one.

mod support;

use bump_scope::{Bump as BumpScope, BumpPool};
use bumpalo::Bump;
use highwater::{Arena, ArenaPool, scratch};
use std::hint::black_box;
use support::{Options, Table, nanoseconds_each};

const POOL: &str = "highwater, ArenaPool";
const MAKE: &str = "highwater, Arena::new and drop";

fn main() {
    let options = Options::parse();
    let (fast, slow) = (options.size(200_000, 20_000), options.size(2_000, 200));
    let pool = ArenaPool::new();
    let theirs: BumpPool = BumpPool::new();

    let mut table = Table::new(&options, "An arena, one allocation in it, and back", "ns", 21);
    table.row(POOL, || {
        nanoseconds_each(fast, || {
            black_box(pool.get().alloc(1u64));
        })
    });
    table.row("highwater, scratch", || {
        nanoseconds_each(fast, || {
            black_box(scratch(&[]).alloc(1u64));
        })
    });
    table.row(MAKE, || {
        nanoseconds_each(slow, || {
            black_box(Arena::new().alloc(1u64));
        })
    });
    table.row("bump-scope, BumpPool", || {
        nanoseconds_each(fast, || {
            black_box(theirs.get().alloc(1u64));
        })
    });
    table.row("bump-scope, new and drop", || {
        nanoseconds_each(fast, || {
            let bump: BumpScope = BumpScope::new();
            black_box(bump.alloc(1u64));
        })
    });
    table.row("bumpalo, new and drop", || {
        nanoseconds_each(fast, || {
            black_box(Bump::new().alloc(1u64));
        })
    });
    table.row("malloc and free", || {
        nanoseconds_each(fast, || {
            black_box(Box::new(1u64));
        })
    });
    if let Some(results) = table.run() {
        results.compare(&[POOL, "highwater, scratch", MAKE]);
        results.aim(POOL, MAKE, 50.0);
        results.aim("highwater, scratch", MAKE, 50.0);
    }
}
