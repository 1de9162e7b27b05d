//! Limits exact to the byte, both kinds of "no", and the text that explains them.

use super::kind::{self, Arena, CONTIGUOUS, builder, new, try_with_capacity};
use highwater::{Cause, Growth, OutOfMemory};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn message(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    *panic.downcast::<String>().expect("a formatted message")
}

#[test]
fn limits_are_exact_to_the_byte() {
    for limit in [0usize, 1, 7, 8, 100, 4095, 4096, 4097, 65_536, 65_537, 200_000] {
        let arena = Arena::<1>::with_min_align();
        arena.set_allocation_limit(Some(limit));
        assert_eq!((arena.remaining(), arena.allocation_limit()), (limit, Some(limit)));
        assert!(arena.try_alloc_slice_fill_copy(limit + 1, 1u8).is_err());
        assert_eq!(arena.try_alloc_slice_fill_copy(limit, 1u8).unwrap().len(), limit);
        assert_eq!((arena.remaining(), arena.allocated_bytes()), (0, limit));
        assert!(arena.try_alloc(1u8).is_err());
        message(|| _ = arena.alloc(1u8));
        arena.set_allocation_limit(Some(limit + 1));
        assert_eq!(*arena.alloc(1u8), 1);

        let arena = builder().min_align::<1>().limit(limit.max(1)).build();
        assert_eq!(arena.alloc_slice_fill_copy(limit.max(1), 1u8).len(), limit.max(1));
        assert_eq!(arena.try_alloc(1u8).unwrap_err().cause(), Cause::RegionLimit);
    }
}

#[test]
fn a_limit_of_the_builder_is_named_with_its_figures() {
    let limit = 1_000_003;
    let arena = builder().name("exact").min_align::<1>().reserve(64 << 20).limit(limit).build();
    assert_eq!(arena.remaining(), limit);
    let error = arena.try_alloc_uninit_slice::<u8>(limit + 1).unwrap_err();
    assert_eq!((error.cause(), error.limit()), (Cause::RegionLimit, Some(limit as u64)));
    assert_eq!(arena.alloc_slice_fill_copy(limit, 1u8).len(), limit);
    assert_eq!((arena.remaining(), arena.allocated_bytes()), (0, limit));
    let error = arena.try_alloc(1u8).unwrap_err();
    assert_eq!((error.cause(), error.used()), (Cause::RegionLimit, limit));
    assert!(error.to_string().contains("\"exact\""), "{error}");
    assert!(message(|| _ = arena.alloc(1u8)).contains("out of memory"));
    assert_eq!(arena.allocated_bytes(), limit, "the cursor stays");
    arena.alloc(());
}

#[test]
fn the_smaller_of_two_limits_counts() {
    let arena = builder().limit(1000).build();
    assert_eq!((arena.remaining(), arena.allocation_limit()), (1000, None));
    arena.set_allocation_limit(Some(5000));
    assert_eq!(arena.remaining(), 1000);
    arena.set_allocation_limit(Some(24));
    assert_eq!(arena.remaining(), 24);
    assert_eq!(arena.alloc([1u64; 3]), &[1; 3]);
    arena.set_allocation_limit(None);
    assert_eq!(arena.remaining(), 976);
}

#[test]
fn a_limit_below_what_is_used_stops_everything_but_values_of_no_size() {
    let arena = new();
    let kept = arena.alloc_slice_fill_copy(100_000, 3u8);
    for limit in [0, 1, 8, 99_999] {
        arena.set_allocation_limit(Some(limit));
        assert_eq!(arena.remaining(), 0);
        assert!(arena.try_alloc(1u8).is_err());
        assert!(arena.try_alloc_layout(Layout::new::<[u64; 1 << 20]>()).is_err());
        assert!(arena.commit_ahead(1).is_err());
        message(|| _ = arena.alloc(1u8));
        arena.alloc(());
        assert!(arena.alloc_str("").is_empty());
    }
    assert!(kept.iter().all(|&byte| byte == 3));
    arena.set_allocation_limit(None);
    assert_eq!(*arena.alloc(4u8), 4);
}

#[test]
fn a_scope_obeys_the_limit_of_its_arena() {
    let mut arena = new();
    arena.set_allocation_limit(Some(100));
    arena.alloc(1u32);
    let mut root = arena.scope();
    assert_eq!(root.remaining(), 92);
    let child = root.scope();
    assert_eq!(child.alloc_slice_fill_copy(11, 1u64).len(), 11);
    assert!(child.try_alloc(1u64).is_err());
    message(|| _ = child.alloc(1u64));
    assert_eq!(child.remaining(), 4);
}

#[test]
fn the_end_of_the_reservation_is_a_limit_too() {
    let mut arena = builder().reserve(1 << 20).build();
    let reserved = arena.reserved_bytes();
    assert_eq!(arena.remaining(), reserved);
    assert_eq!(arena.alloc_slice_fill_copy(reserved, 7u8).len(), reserved);
    assert_eq!(arena.try_alloc(1u8).unwrap_err().cause(), Cause::ReservationExhausted);
    assert!(message(|| _ = arena.alloc(1u8)).contains("reservation of 1 MiB exhausted"));
    arena.reset();
    assert_eq!(arena.alloc_slice_fill_copy(reserved, 8u8)[reserved - 1], 8);
}

#[test]
fn try_calls_never_panic_and_change_nothing() {
    fn check<const MIN: usize>(arena: &Arena<MIN>) {
        let used = arena.allocated_bytes();
        let texts = ["some", "more", "text", "than", "fits", "here"];
        let long = "x".repeat(1000);
        macro_rules! refused {
            ($($call:expr),+ $(,)?) => {$(
                assert!($call.is_err(), "{}", stringify!($call));
                assert_eq!(arena.allocated_bytes(), used, "{}", stringify!($call));
            )+};
        }
        refused!(
            arena.try_alloc([0u64; 100]),
            arena.try_alloc_with(|| [0u64; 100]),
            arena.try_alloc_try_with(|| Ok::<_, ()>([0u64; 100])),
            arena.try_alloc_layout(Layout::new::<[u64; 100]>()),
            arena.try_alloc_layout(Layout::from_size_align(1, 1 << 40).unwrap()),
            arena.try_alloc_layout(Layout::from_size_align(isize::MAX as usize, 1).unwrap()),
            arena.try_alloc_uninit::<[u64; 100]>(),
            arena.try_alloc_uninit_slice::<u64>(100),
            arena.try_alloc_uninit_slice::<u64>(usize::MAX),
            arena.try_alloc_uninit_slice::<u8>(isize::MAX as usize),
            arena.try_alloc_uninit_slice::<u8>(usize::MAX),
            arena.try_alloc_str(&long),
            arena.try_alloc_fmt(format_args!("{long}")),
            arena.try_alloc_fmt(format_args!("{0}{0}{1}", &long[..100], long)),
            arena.try_alloc_iter(texts.iter().cycle().take(1000)),
            arena.try_alloc_iter((0..1000u64).filter(|n| n % 2 == 0)),
            arena.try_alloc_slice_copy(long.as_bytes()),
            arena.try_alloc_slice_clone(&vec![String::new(); 100]),
            arena.try_alloc_slice_fill_with(1000, |i| i),
            arena.try_alloc_slice_fill_with(usize::MAX, |i| i),
            arena.try_alloc_slice_try_fill_with(1000, Ok::<usize, ()>),
            arena.try_alloc_slice_fill_copy(1000, 1u8),
            arena.try_alloc_slice_fill_clone(1000, &1u8),
            arena.try_alloc_slice_fill_default::<u128>(usize::MAX / 2),
            arena.try_alloc_slice_fill_iter(vec![1u8; 1000]),
            arena.commit_ahead(1000),
            arena.commit_ahead(usize::MAX),
        );
    }
    let arena = new();
    arena.set_allocation_limit(Some(200));
    arena.alloc([1u8; 21]);
    check(&arena);
    let arena = builder().min_align::<1>().limit(200).build();
    arena.alloc([1u8; 21]);
    check(&arena);
    let arena = builder().min_align::<64>().reserve(4096).build();
    arena.alloc([1u8; 4000]);
    check(&arena);
}

#[test]
fn uninitialised_memory_can_be_written_and_is_committed() {
    let arena = new();
    let before = arena.stats().faults;
    let value = arena.alloc_uninit::<[u64; 50_000]>();
    let slice = arena.alloc_uninit_slice::<u32>(100_000);
    let tried = arena.try_alloc_uninit_slice::<u8>(3).unwrap();
    let block = arena.alloc_layout(Layout::new::<[u64; 50_000]>());
    plain!(arena.committed_bytes() >= arena.allocated_bytes());
    value.write([1; 50_000]);
    slice.iter_mut().for_each(|n| _ = n.write(2));
    tried.iter_mut().for_each(|n| _ = n.write(3));
    // SAFETY: the block is that large.
    unsafe { block.write_bytes(4, 400_000) };
    assert_eq!(arena.stats().faults, before, "none of it faulted");
    // SAFETY: all were written.
    let (value, last) = unsafe { (value.assume_init_ref(), slice[99_999].assume_init()) };
    assert_eq!((value[49_999], last), (1, 2));
}

#[test]
fn committing_ahead_and_a_buffer_afterwards() {
    let arena = builder().head(1 << 16).build();
    arena.commit_ahead(1 << 20).unwrap();
    let (committed, commits) = (arena.committed_bytes(), arena.stats().commits);
    let filled = arena.alloc_slice_fill_copy(1 << 20, 1u8);
    assert!(filled.iter().all(|&byte| byte == 1));
    // Blocks with pages of their own are committed one by one, whatever was committed ahead.
    if CONTIGUOUS {
        assert!(committed >= 1 << 20);
        assert_eq!((arena.committed_bytes(), arena.stats().commits), (committed, commits));
    }
    assert!(arena.commit_ahead(0).is_ok());

    let block = arena.alloc_uninit_slice::<u8>(3 << 20);
    arena.ensure_committed(block).unwrap();
    plain!(arena.committed_bytes() >= 4 << 20);
    let mut elsewhere = [std::mem::MaybeUninit::new(0u8); 100];
    arena.ensure_committed(&mut elsewhere).unwrap();
    arena.ensure_committed(&mut []).unwrap();
    let other = new();
    other.ensure_committed(block).unwrap();
    plain!(other.committed_bytes() <= 1 << 16);
}

#[test]
fn contains_knows_its_own_addresses() {
    let arena = builder().reserve(1 << 20).build();
    let value = arena.alloc(1u64);
    assert!(arena.contains(value) && !new().contains(value));
    assert!(!arena.contains(&1) && !arena.contains(std::ptr::null::<u8>()));
    if !CONTIGUOUS {
        return; // the range has room for guards, and is larger than what was asked for
    }
    let base = arena.region().as_ptr();
    assert!(arena.contains(base) && arena.contains(base.wrapping_add((1 << 20) - 1)));
    assert!(!arena.contains(base.wrapping_sub(1)) && !arena.contains(base.wrapping_add(1 << 20)));
}

#[test]
fn trim_keeps_what_is_used_and_what_it_is_told_to() {
    let mut arena = new();
    arena.alloc_slice_fill_copy(100_000, 7u8);
    arena.reset();
    let kept = arena.alloc_slice_fill_copy(10_000, 8u8).as_ptr();
    let committed = arena.committed_bytes();
    let given_back = arena.trim(0);
    let trimmed = arena.committed_bytes();
    let nothing = arena.trim(usize::MAX);
    assert_eq!(arena.allocated_bytes(), 10_000);
    // SAFETY: the bytes are in use still: nothing was given back of them.
    assert!((0..10_000).all(|i| unsafe { kept.add(i).read() } == 8));
    let fresh = arena.alloc_uninit_slice::<u8>(80_000);
    // Blocks with pages of their own are counted, given back and made anew one by one.
    if CONTIGUOUS {
        assert_eq!((given_back, nothing), (committed - trimmed, 0));
        assert!((10_000..committed).contains(&trimmed));
        assert_eq!(kept, arena.region().as_ptr());
        // SAFETY: what was given back reads as zero; the first page may be one that was kept.
        assert!(fresh[8192..].iter().all(|byte| unsafe { byte.assume_init() } == 0));
        assert_eq!(arena.stats().peak_committed, committed.max(arena.committed_bytes()));
    }
    assert!(fresh.iter_mut().all(|byte| *byte.write(9) == 9), "all of it can be written");
}

#[test]
fn the_panic_names_the_arena_and_leaves_it_usable() {
    let arena = builder().name("symbols").limit(4096).build();
    let kept = arena.alloc([1u64; 500]);
    let text = message(|| _ = arena.alloc([2u64; 13]));
    assert!(text.contains("out of memory") && text.contains("\"symbols\""), "{text}");
    assert!(text.contains("requested 104 B") && text.contains("used 4000 B"), "{text}");
    assert!(text.contains("region limit 4 KiB reached"), "{text}");
    assert_eq!((arena.allocated_bytes(), arena.alloc([3u64; 12])), (4000, &mut [3; 12]));
    assert_eq!(kept, &[1; 500]);
    let small = builder().name("small").limit(8).build();
    assert!(message(|| _ = small.alloc([0u64; 2])).contains("arena \"small\" out of memory"));
    assert!(message(|| _ = small.alloc_slice_fill_copy(usize::MAX, 0u64)).contains("out of memory"));
}

#[test]
fn errors_carry_the_figures() {
    let arena = builder().name("figures").reserve(1 << 20).limit(1000).build();
    arena.alloc(1u8);
    let error = arena.try_alloc_layout(Layout::from_size_align(2000, 64).unwrap()).unwrap_err();
    assert_eq!(
        (error.cause(), error.requested(), error.limit(), error.used()),
        (Cause::RegionLimit, 2000, Some(1000), 8)
    );
    let text = error.to_string();
    let (before, rest) = text.split_once("committed ").unwrap();
    let (committed, after) = rest.split_once(", ").unwrap();
    assert_eq!(
        (before, after),
        (
            "arena \"figures\" out of memory: requested 2000 B (effective 2056 B), used 8 B, ",
            "reserved 1 MiB: region limit 1000 B reached"
        )
    );
    // One page; how many it is for a block with pages of its own depends on them.
    plain_eq!((committed, arena.committed_bytes()), ("4 KiB", 4096), "{text}");
    assert_eq!(error, error.clone());
    let unnamed = builder().limit(8).build();
    let text = unnamed.try_alloc([0u64; 2]).unwrap_err().to_string();
    assert!(text.starts_with(&format!("arena #{} out of memory: ", unnamed.id())), "{text}");
    let absurd: OutOfMemory = try_with_capacity(usize::MAX).unwrap_err();
    assert!(absurd.to_string().starts_with("new arena out of memory"), "{absurd}");
}

#[test]
fn an_arena_without_a_name_of_any_kind_of_growth_fills_up() {
    // A process can have only so many blocks with pages of their own.
    let reserve: usize = if CONTIGUOUS { 1 << 20 } else { 1 << 15 };
    for growth in [
        Growth::Upfront,
        Growth::Fixed(1),
        Growth::Fixed(1 << 18),
        Growth::Geometric { first: 1, max: 1 << 30 },
        Growth::Stress { seed: 3 },
    ] {
        let mut arena = builder().reserve(reserve).growth(growth).build();
        for _ in 0..2 {
            let mut count = 0u64;
            while arena.try_alloc(count).is_ok() {
                count += 1;
            }
            assert_eq!((count, arena.remaining()), (reserve as u64 / 8, 0), "{growth:?}");
            message(|| _ = arena.alloc(1u64));
            arena.reset();
            assert_eq!(arena.alloc_slice_fill_copy(reserve, 9u8).len(), reserve);
            arena.reset();
        }
    }
}
