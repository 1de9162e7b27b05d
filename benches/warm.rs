//! Small allocations of mixed sizes in memory that is there already, given back every mebibyte.

mod support;

use bump_scope::Bump as BumpScope;
use bumpalo::Bump;
use highwater::Arena;
use std::hint::black_box;
use support::{Options, Random, Results, Table, nanoseconds_each};

/// What is allocated between one reset and the next.
const BETWEEN_RESETS: usize = 1 << 20;
/// Space for padding and for the metadata of peers beside the blocks: no contender grows.
const ROOM: usize = 4 << 20;

/// One line of allocation calls per type, sixteen of them, each of another size.
macro_rules! sixteen_arrays {
    ($arena:expr, $value:expr) => {{
        let (arena, x) = (&$arena, $value);
        let mut sum = 0u64;
        // Drawn once from 8 to 256 bytes, with the alignments of bytes, words and double words.
        sum = sum.wrapping_add(arena.alloc([x; 1])[0]);
        sum = sum.wrapping_add(arena.alloc([x as u32; 5])[4] as u64);
        sum = sum.wrapping_add(arena.alloc([x; 3])[0]);
        sum = sum.wrapping_add(arena.alloc([x as u8; 17])[9] as u64);
        sum = sum.wrapping_add(arena.alloc([x; 16])[3]);
        sum = sum.wrapping_add(arena.alloc([x as u32; 2])[1] as u64);
        sum = sum.wrapping_add(arena.alloc([x; 6])[5]);
        sum = sum.wrapping_add(arena.alloc([x as u8; 100])[40] as u64);
        sum = sum.wrapping_add(arena.alloc([x; 2])[1]);
        sum = sum.wrapping_add(arena.alloc([x as u32; 11])[0] as u64);
        sum = sum.wrapping_add(arena.alloc([x; 32])[31]);
        sum = sum.wrapping_add(arena.alloc([x as u8; 9])[8] as u64);
        sum = sum.wrapping_add(arena.alloc([x; 4])[0]);
        sum = sum.wrapping_add(arena.alloc([x as u32; 23])[7] as u64);
        sum = sum.wrapping_add(arena.alloc([x; 1])[0]);
        sum = sum.wrapping_add(arena.alloc([x; 8])[2]);
        sum
    }};
}

/// Bytes that one pass over the sixteen asks for.
const SIXTEEN: usize = 8 + 20 + 24 + 17 + 128 + 8 + 48 + 100 + 16 + 44 + 256 + 9 + 32 + 92 + 8 + 64;

/// The two jobs, for one kind of arena: they end where the arena is given back.
macro_rules! jobs {
    ($arrays:ident, $slices:ident, $type:ty) => {
        #[inline(never)]
        fn $arrays(arena: $type) -> u64 {
            let mut sum = 0u64;
            for i in 0..(BETWEEN_RESETS / SIXTEEN) as u64 {
                sum = sum.wrapping_add(sixteen_arrays!(arena, black_box(i)));
            }
            sum
        }

        #[inline(never)]
        fn $slices(arena: $type, sizes: &[usize], source: &[u8]) -> u64 {
            let mut sum = 0u64;
            for &size in sizes {
                sum = sum.wrapping_add(u64::from(arena.alloc_slice_copy(&source[..size])[size / 2]));
            }
            sum
        }
    };
}

jobs!(arena_arrays, arena_slices, &Arena);
jobs!(scope_arrays, scope_slices, highwater::Scope<'_>);
jobs!(bumpalo_arrays, bumpalo_slices, &Bump);
jobs!(bump_scope_arrays, bump_scope_slices, &BumpScope);
jobs!(bump_scope_scope_arrays, bump_scope_scope_slices, &mut bump_scope::BumpScope<'_>);

#[inline(never)]
fn malloc_slices(sizes: &[usize], source: &[u8], kept: &mut Vec<Box<[u8]>>) -> u64 {
    let mut sum = 0u64;
    for &size in sizes {
        let copy: Box<[u8]> = source[..size].into();
        sum = sum.wrapping_add(u64::from(copy[size / 2]));
        kept.push(copy);
    }
    sum
}

const ARENA: &str = "highwater, &Arena";
const SCOPE: &str = "highwater, scope";

fn report(results: Option<Results>) {
    let Some(results) = results else { return };
    results.compare(&[ARENA, SCOPE]);
    for ours in [ARENA, SCOPE] {
        for peer in ["bumpalo", "bump-scope"] {
            results.aim(ours, peer, 1.0);
        }
    }
}

fn main() {
    let options = Options::parse();
    let resets = options.size(200, 20);
    let rounds = 41;

    let mut random = Random(7);
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < BETWEEN_RESETS {
        sizes.push(8 + random.below(249) as usize);
    }
    let (sizes, source) = (&sizes[..], &[3u8; 256][..]);
    let mut arena = Arena::with_capacity(ROOM);
    let mut arena_for_scopes = Arena::with_capacity(ROOM);
    let mut bump = Bump::with_capacity(ROOM);
    let mut bump_scope: BumpScope = BumpScope::with_size(ROOM);
    let mut bump_scope_for_scopes: BumpScope = BumpScope::with_size(ROOM);
    let mut kept = Vec::with_capacity(sizes.len());

    let title = "Warm, arrays of 8 to 256 bytes through alloc, a reset every MiB";
    let each =
        move |work: &mut dyn FnMut()| nanoseconds_each(resets, work) / (BETWEEN_RESETS / SIXTEEN * 16) as f64;
    let mut table = Table::new(&options, title, "ns each", rounds);
    table.row(ARENA, || {
        each(&mut || {
            black_box(arena_arrays(&arena));
            arena.reset();
        })
    });
    table.row(SCOPE, || {
        each(&mut || {
            black_box(scope_arrays(arena_for_scopes.scope()));
        })
    });
    table.row("bumpalo", || {
        each(&mut || {
            black_box(bumpalo_arrays(&bump));
            bump.reset();
        })
    });
    table.row("bump-scope", || {
        each(&mut || {
            black_box(bump_scope_arrays(&bump_scope));
            bump_scope.reset();
        })
    });
    table.row("bump-scope, scope", || {
        each(&mut || {
            black_box(bump_scope_for_scopes.scoped(bump_scope_scope_arrays));
        })
    });
    report(table.run());

    let title = "Warm, slices of 8 to 256 bytes through alloc_slice_copy, a reset every MiB";
    let each = move |work: &mut dyn FnMut()| nanoseconds_each(resets, work) / sizes.len() as f64;
    let mut table = Table::new(&options, title, "ns each", rounds);
    table.row(ARENA, || {
        each(&mut || {
            black_box(arena_slices(&arena, sizes, source));
            arena.reset();
        })
    });
    table.row(SCOPE, || {
        each(&mut || {
            black_box(scope_slices(arena_for_scopes.scope(), sizes, source));
        })
    });
    table.row("bumpalo", || {
        each(&mut || {
            black_box(bumpalo_slices(&bump, sizes, source));
            bump.reset();
        })
    });
    table.row("bump-scope", || {
        each(&mut || {
            black_box(bump_scope_slices(&bump_scope, sizes, source));
            bump_scope.reset();
        })
    });
    table.row("bump-scope, scope", || {
        each(&mut || {
            black_box(bump_scope_for_scopes.scoped(|scope| bump_scope_scope_slices(scope, sizes, source)));
        })
    });
    table.row("malloc, freed one by one", || {
        each(&mut || {
            black_box(malloc_slices(sizes, source, &mut kept));
            kept.clear();
        })
    });
    report(table.run());
}
