//! The arithmetic against wide integers.

#![no_main]

use highwater::math::{bump, page, step};
use libfuzzer_sys::fuzz_target;

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    position: usize,
    size: usize,
    align: u8,
    min_align: u8,
    frontier: usize,
    gap: usize,
    len: usize,
    rest: usize,
    step: usize,
    max: usize,
}

fuzz_target!(|input: Input| {
    let align = 1usize << (input.align % 63);
    let min_align = 1usize << (input.min_align % 13);
    let position = (input.position % (1 << 57)) & !(min_align - 1);
    if std::alloc::Layout::from_size_align(input.size, align).is_ok() {
        let block = bump::bump_up(position, input.size, align, min_align);
        let start = (position as u128).div_ceil(align as u128) * align as u128;
        let end = (start + input.size as u128).div_ceil(min_align as u128) * min_align as u128;
        assert_eq!((block.start as u128, block.end as u128), (start, end));
    }
    assert!(page::align_down(input.size, align) <= input.size);
    assert!(page::align_up(input.size, align).is_none_or(|up| up >= input.size));

    let page = 4096;
    let frontier = page::align_down(input.frontier % (1 << 46), page);
    let from = frontier + input.gap % (1 << 45);
    let to = from + 1 + input.len % (1 << 45);
    let end = page::align_up_saturating(to + input.rest % (1 << 45), page);
    let need = step::Need { frontier, from, to, end, page };
    let first = input.step.max(1);
    for made in [
        step::exact(need),
        step::fixed(need, input.step),
        step::geometric(need, first, first.max(input.max)),
        step::geometric(need, 64 << 10, 16 << 20),
    ] {
        assert!(made.frontier >= to && made.frontier <= end && made.frontier % page == 0, "{need:?} {made:?}");
        assert!(made.populate_from >= frontier && made.populate_from <= from, "{need:?} {made:?}");
    }
    let ahead = step::geometric(need, 64 << 10, 16 << 20).frontier - to;
    assert!(ahead <= to / 4 + (4 << 20));
});
