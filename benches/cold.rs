//! Filling memory from empty: what growing costs, from the first byte on.
//!
//! Peers take their memory from `malloc`, which requests huge pages only with
//! `GLIBC_TUNABLES=glibc.malloc.hugetlb=1`.

mod support;

use bump_scope::Bump as BumpScope;
use bumpalo::Bump;
use highwater::{Arena, Growth, HugePages};
use std::hint::black_box;
use support::{Options, Results, Table, seconds, warm};

const GIB: usize = 1 << 30;

/// `count` numbers, one allocation each; the address of the last one keeps the compiler from knowing better.
macro_rules! fill {
    ($name:ident, $type:ty) => {
        #[inline(never)]
        fn $name(arena: $type, count: u64) -> u64 {
            let mut last: *const u64 = std::ptr::null();
            for i in 0..count {
                last = &*arena.alloc(i);
            }
            black_box(last).addr() as u64
        }
    };
}

fill!(fill_arena, &Arena);
fill!(fill_bumpalo, &Bump);
fill!(fill_bump_scope, &BumpScope);

/// The same in a scope of the function's own.
#[inline(never)]
fn fill_scope(arena: &mut Arena, count: u64) -> u64 {
    let scope = arena.scope();
    let mut last: *const u64 = std::ptr::null();
    for i in 0..count {
        last = &*scope.alloc(i);
    }
    black_box(last).addr() as u64
}

/// The same in a scope of bump-scope's.
#[inline(never)]
fn fill_bump_scope_scope(bump: &mut BumpScope, count: u64) -> u64 {
    bump.scoped(|scope| {
        let mut last: *const u64 = std::ptr::null();
        for i in 0..count {
            last = &*scope.alloc(i);
        }
        black_box(last).addr() as u64
    })
}

#[inline(never)]
fn fill_vec(vec: &mut Vec<u64>, count: u64) -> u64 {
    for i in 0..count {
        vec.push(i);
    }
    black_box(vec.as_ptr()).addr() as u64
}

fn arena(growth: Growth, huge_pages: HugePages) -> Arena {
    Arena::builder().reserve(8 * GIB).growth(growth).huge_pages(huge_pages).build()
}

const ARENA: &str = "highwater, &Arena";
const SCOPE: &str = "highwater, local scope";
const UPFRONT: &str = "kernel paging (Upfront), &Arena";
const UPFRONT_SCOPE: &str = "kernel paging (Upfront), scope";

fn table(options: &Options, title: &str, bytes: usize, rounds: usize, pages: HugePages) -> Option<Results> {
    let count = (bytes / 8) as u64;
    let title = format!("{title}: {} MiB of u64 from empty", bytes >> 20);
    let mut table = Table::new(options, title, "s", rounds);
    // Making is timed, and so is growing; giving the memory back is not.
    let mut ours = |name, growth, in_scope: bool| {
        table.row(name, move || {
            warm(bytes);
            let (time, _arena) = seconds(|| {
                let mut arena = arena(growth, pages);
                if in_scope {
                    fill_scope(&mut arena, count)
                } else {
                    fill_arena(&arena, count)
                };
                arena
            });
            time
        });
    };
    ours(ARENA, Growth::default(), false);
    ours(SCOPE, Growth::default(), true);
    ours(UPFRONT, Growth::Upfront, false);
    ours(UPFRONT_SCOPE, Growth::Upfront, true);
    table.row("bumpalo", move || {
        warm(bytes);
        let (time, _bump) = seconds(|| {
            let bump = Bump::new();
            fill_bumpalo(&bump, count);
            bump
        });
        time
    });
    table.row("bump-scope", move || {
        warm(bytes);
        let (time, _bump) = seconds(|| {
            let bump: BumpScope = BumpScope::new();
            fill_bump_scope(&bump, count);
            bump
        });
        time
    });
    table.row("bump-scope, scope", move || {
        warm(bytes);
        let (time, _bump) = seconds(|| {
            let mut bump: BumpScope = BumpScope::new();
            fill_bump_scope_scope(&mut bump, count);
            bump
        });
        time
    });
    table.row("Vec::push", move || {
        warm(bytes);
        let (time, _vec) = seconds(|| {
            let mut vec = Vec::new();
            fill_vec(&mut vec, count);
            vec
        });
        time
    });
    table.run()
}

fn main() {
    let options = Options::parse();
    let bytes = options.size(2 * GIB, GIB / 4);
    if let Some(results) = table(&options, "Cold, huge pages allowed", bytes, 9, HugePages::Advise) {
        results.compare(&[ARENA, SCOPE]);
        for peer in ["bumpalo", "bump-scope"] {
            results.aim(ARENA, peer, 2.4);
            results.aim(SCOPE, peer, 4.0);
        }
        results.aim(ARENA, UPFRONT, 0.95);
    }
    let bytes = options.size(GIB, GIB / 4);
    if let Some(results) = table(&options, "Cold, no huge pages", bytes, 15, HugePages::Never) {
        results.compare(&[ARENA, SCOPE]);
        results.aim(ARENA, UPFRONT, 1.1);
    }
}
