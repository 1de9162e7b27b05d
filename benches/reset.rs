//! Giving everything back, and the first allocation afterwards: it must not depend on how much there was.

mod support;

use bump_scope::Bump as BumpScope;
use bump_scope::traits::BumpAllocatorTyped;
use bumpalo::Bump;
use highwater::{Arena, Growth};
use std::alloc::Layout;
use std::hint::black_box;
use support::{Options, Table, nanoseconds_each};

fn main() {
    let options = Options::parse();
    let times = options.size(1_000_000, 100_000);
    let large = options.size(1 << 30, 64 << 20);

    let title =
        format!("Reset after using up 1 MiB or {} MiB, and the first allocation after it", large >> 20);
    let mut table = Table::new(&options, title, "ns", 21);
    let names: Vec<_> =
        [1 << 20, large].into_iter().map(|bytes| (bytes, format!("{} MiB", bytes >> 20))).collect();
    for (bytes, size) in &names {
        // All but the first kibibyte in one block, which is committed and present already.
        let block = Layout::from_size_align(bytes - 1024, 8).unwrap();
        let mut arena = Arena::with_capacity(*bytes);
        // Written, so that its pages are there.
        arena.alloc_slice_fill_copy(*bytes, 1u8);
        table.row(&format!("highwater, {size}"), move || {
            nanoseconds_each(times, || {
                // A block that takes nearly all of it: the position is far from the start when it is reset.
                black_box(arena.alloc_layout(block));
                arena.reset();
                black_box(arena.alloc(1u64));
            })
        });
        let mut bump = Bump::with_capacity(bytes + 4096);
        bump.alloc_slice_fill_copy(*bytes, 1u8);
        table.row(&format!("bumpalo, {size}"), move || {
            nanoseconds_each(times, || {
                black_box(bump.alloc_layout(block));
                bump.reset();
                black_box(bump.alloc(1u64));
            })
        });
        let mut bump: BumpScope = BumpScope::with_size(bytes + 4096);
        bump.alloc_slice_fill(*bytes, 1u8);
        table.row(&format!("bump-scope, {size}"), move || {
            nanoseconds_each(times, || {
                black_box(bump.allocate_layout(block));
                bump.reset();
                black_box(bump.alloc(1u64));
            })
        });
    }
    if let Some(results) = table.run() {
        let large = &names[1].1;
        let ours = format!("highwater, {large}");
        results.compare(&[&ours]);
        results.aim(&ours, "highwater, 1 MiB", 1.0);
    }

    // What a reset does not do: the pages stay. Giving them back is `trim`, which is as long as it takes.
    let title = format!("Giving {} MiB back to the system: trim", large >> 20);
    let mut table = Table::new(&options, title, "ns", 9);
    for (name, growth) in
        [("highwater, fault", Growth::default()), ("highwater, kernel paging", Growth::Upfront)]
    {
        let mut arena = Arena::builder().reserve(2 << 30).growth(growth).build();
        table.row(name, move || {
            arena.alloc_slice_fill_copy(large, 1u8);
            arena.reset();
            nanoseconds_each(1, || {
                black_box(arena.trim(0));
            })
        });
    }
    table.run();
}
