//! Growth by touch: how often, how far, and that nothing moves.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::internal::math::step::{GrowthNeed, geometric};
use highwater::{Arena, Growth, Region};
use support::maps;
use support::raw::{get, page, put};

#[test]
fn a_thousand_growths_are_what_the_policy_says() {
    if !support::has_faults() {
        return;
    }
    let step = 16 * page();
    let region = Region::builder().reserve(1100 * step).head(step).growth(Growth::Fixed(step)).build();
    let (base, pages) = (region.as_ptr(), 1001 * 16);
    for i in 0..pages {
        put(&region, i * page() + 7, i as u8);
    }
    let stats = region.stats();
    assert_eq!((stats.faults, stats.commits), (1000, 1000), "one growth a step, the head is committed");
    assert_eq!((stats.committed, region.as_ptr()), (1001 * step, base));

    for i in 0..pages {
        assert_eq!(get(&region, i * page() + 7), i as u8);
        assert_eq!(get(&region, i * page()), 0, "fresh memory reads as zero");
        put(&region, i * page() + 7, !(i as u8));
    }
    assert_eq!(region.stats().faults, 1000, "what is committed faults no more");
    assert!((0..pages).all(|i| get(&region, i * page() + 7) == !(i as u8)));
}

#[test]
fn geometric_growth_follows_its_arithmetic() {
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(1 << 30).build();
    let (mut frontier, mut faults) = (region.committed_bytes(), 0);
    for offset in (0..96 << 20).step_by(page()) {
        if offset >= frontier {
            let need = GrowthNeed { frontier, from: offset, to: offset + 1, end: 1 << 30, page: page() };
            (frontier, faults) = (geometric(need, 64 << 10, 16 << 20).frontier, faults + 1);
        }
        put(&region, offset, 1);
        assert_eq!(region.committed_bytes(), frontier);
    }
    assert_eq!(region.stats().faults, faults);
}

#[test]
fn ten_thousand_growths_leave_three_mappings() {
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(1 << 30).head(page()).growth(Growth::Fixed(page())).build();
    for i in 1..=10_000 {
        put(&region, i * page(), i as u8);
        if i % 2_500 == 0 {
            let found = maps::count(maps::reserved(&region));
            assert!((1..=3).contains(&found), "{found} mappings after {i} growths");
        }
    }
    assert_eq!(region.stats().faults, 10_000);
    assert!((1..=10_000).all(|i| get(&region, i * page()) == i as u8));
}

#[test]
fn a_read_in_the_tail_is_growth() {
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(16 << 20).head(0).growth(Growth::Fixed(page())).build();
    assert_eq!((get(&region, 0), region.stats().faults), (0, 1));
    assert_eq!((get(&region, 5 * page() + 1), region.stats().faults), (0, 2));
    assert_eq!(region.committed_bytes(), 6 * page());
}

#[test]
fn the_last_byte_is_served_and_so_is_a_write_across_the_frontier() {
    if !support::has_faults() {
        return;
    }
    let step = 64 << 10;
    let region = Region::builder().reserve(1 << 20).head(page()).growth(Growth::Fixed(step)).build();
    // SAFETY: the eight bytes lie in the reservation, half of them past the frontier.
    unsafe { region.as_ptr().add(page() - 4).cast::<u64>().write_unaligned(u64::MAX) };
    assert_eq!((get(&region, page() - 1), get(&region, page() + 3), get(&region, page() + 4)), (255, 255, 0));
    assert_eq!(region.committed_bytes(), page() + step);
    put(&region, (1 << 20) - 1, 9);
    assert_eq!(region.committed_bytes(), 1 << 20, "the end cuts the step short");
    assert_eq!(region.stats().faults, 2);
}

#[test]
fn a_first_touch_far_into_the_tail_is_served() {
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(4 << 30).build();
    let far = 17 * (64 << 20);
    put(&region, far, 3);
    assert_eq!((get(&region, far), region.stats().faults), (3, 1));
    assert!(region.committed_bytes() > far);
    put(&region, far / 2, 4);
    assert_eq!(region.stats().faults, 1, "the gap that was jumped over is committed");
    let resident: usize = maps::mappings(maps::reserved(&region)).iter().map(|m| m.resident).sum();
    assert!(resident <= 32 << 20, "a gap is not made present: {resident} bytes are");
}

#[test]
fn seventeen_uninitialised_blocks_cost_nothing_and_the_next_value_is_served() {
    const BLOCK: usize = 64 << 20;
    let mut arena = Arena::builder().reserve(2 << 30).build();
    let first = arena.region().as_ptr().addr();
    let scope = arena.scope();
    for _ in 0..17 {
        // A frame is 64 MiB that nobody writes; a `MaybeUninit` of that size is copied through the stack in a
        // build without optimisation.
        let _ = scope.frame::<BLOCK>();
    }
    assert_eq!((scope.allocated_bytes(), scope.stats().faults), (17 * BLOCK, 0));
    let value = scope.alloc(0x1234_5678_u64);
    assert_eq!((*value, std::ptr::from_ref(value).addr()), (0x1234_5678, first + 17 * BLOCK));
    if highwater::engine() == highwater::Engine::Fault {
        assert_eq!(scope.stats().faults, 1);
    }
}

#[test]
fn errno_survives_a_growth() {
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(page())).build();
    for i in 0..100 {
        // SAFETY: errno is this thread's own, and the byte lies in the reservation.
        let after = unsafe {
            *libc::__errno_location() = 1000 + i;
            region.as_ptr().add(i as usize * page()).write_volatile(1);
            *libc::__errno_location()
        };
        assert_eq!(after, 1000 + i);
    }
    assert_eq!(region.stats().faults, 100);
}

#[test]
fn addresses_and_contents_of_an_arena_are_stable() {
    let arena = Arena::builder().reserve(1 << 30).build();
    let mut kept = Vec::new();
    for i in 0..20_000u64 {
        kept.push((i, &*arena.alloc_slice_fill_copy(200, i)));
    }
    assert!(kept.iter().all(|(i, slice)| slice.iter().all(|value| value == i)));
    let apart = |pair: &[(u64, &[u64])]| pair[1].1.as_ptr().addr() - pair[0].1.as_ptr().addr();
    assert!(kept.windows(2).all(|pair| apart(pair) == 1600), "one contiguous range");
}
