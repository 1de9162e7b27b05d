//! What a checked arena tells of what it does, and for how long it keeps addresses out of use.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::guard::{Event, EventKind};
use highwater::{Arena, DebugArena, GuardMechanism, GuardPolicy};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use support::guards::mechanisms;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("log_true", log_true)];

/// An event as it was told.
#[derive(Clone, Debug)]
struct Told {
    what: EventKind,
    arena: String,
    generation: u32,
    start: usize,
    current: usize,
    end: usize,
    used: usize,
    text: String,
}

type Log = Arc<Mutex<Vec<Told>>>;

fn logged(guard: GuardPolicy) -> (DebugArena, Log) {
    let log = Log::default();
    let to = log.clone();
    let builder = Arena::builder().name("logged").guard(guard).checked().log_to(move |event: &Event<'_>| {
        let &Event { what, arena, generation, start, current, end, used, .. } = event;
        let (arena, text) = (arena.to_owned(), event.to_string());
        to.lock().unwrap().push(Told { what, arena, generation, start, current, end, used, text });
    });
    (builder.build(), log)
}

/// What was told since the last time.
fn take(log: &Log) -> Vec<Told> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// What was told of allocations: size, alignment, ordinal and line, and where.
fn allocated(told: &[Told]) -> Vec<(usize, usize, u64, u32, usize)> {
    let one = |told: &Told| match told.what {
        EventKind::Allocated { address, size, align, ordinal, caller } => {
            assert_eq!(caller.file(), file!());
            Some((size, align, ordinal, caller.line(), address))
        }
        _ => None,
    };
    told.iter().filter_map(one).collect()
}

#[test]
fn every_allocation_is_told_with_its_caller() {
    if !support::reserves() {
        return;
    }
    for mechanism in mechanisms() {
        let (mut arena, log) = logged(GuardPolicy::default().mechanism(mechanism));
        assert!(take(&log).is_empty(), "nothing happened yet");
        let line = line!();
        let first = std::ptr::from_mut(arena.alloc(1u64)).addr();
        let second = arena.alloc_slice_fill_copy(100, 2u32).as_ptr().addr();
        let third = arena.try_alloc([3u8; 5]).unwrap().as_ptr().addr();
        let scope = arena.scope();
        let fourth = scope.alloc_str("four").as_ptr().addr();
        let fifth = scope.alloc_layout(std::alloc::Layout::new::<[u64; 512]>()).addr().get();
        let told = take(&log);
        let wanted = [
            (8, 8, 0, line + 1, first),
            (400, 8, 1, line + 2, second),
            (5, 8, 2, line + 3, third),
            (4, 8, 3, line + 5, fourth),
            (4096, 8, 4, line + 6, fifth),
        ];
        assert_eq!(allocated(&told), wanted);
        let base = arena.region().as_ptr().addr();
        for told in &told {
            let Told { start, current, end, .. } = *told;
            assert!(start == base && start <= current && current <= end, "{told:x?}");
            assert!(end <= base + arena.region().reserved_bytes(), "{told:x?}");
            assert_eq!((&*told.arena, told.generation), ("logged", 1));
        }
        assert!(told.is_sorted_by_key(|told| told.used));
        assert_eq!(told.last().unwrap().used, 8 + 400 + 8 + 8 + 4096);
    }
}

#[test]
fn growth_is_told_and_adds_up() {
    if !support::reserves() {
        return;
    }
    let (arena, log) = logged(GuardPolicy::default());
    let before = arena.committed_bytes();
    (0..500u64).for_each(|i| _ = arena.alloc(i));
    let told = take(&log);
    let grown = |told: &Told| if let EventKind::Grown { bytes } = told.what { Some(bytes) } else { None };
    let steps = told.iter().filter_map(grown).collect::<Vec<_>>();
    assert!(steps.len() > 1, "{steps:?}");
    assert_eq!(before + steps.iter().sum::<usize>(), arena.committed_bytes());
    // The end that is told is the one after the step.
    let mut end = told[0].start + before;
    for told in &told {
        end += grown(told).unwrap_or(0);
        assert_eq!(told.end, end, "{told:?}");
    }
    assert_eq!(told.len(), steps.len() + 500, "and nothing else");
}

#[test]
fn what_is_given_up_is_counted() {
    if !support::reserves() {
        return;
    }
    let (mut arena, log) = logged(GuardPolicy::default());
    arena.alloc(1u64);
    {
        let mut scope = arena.scope();
        (0..3).for_each(|i| _ = scope.alloc(i));
        (0..4).for_each(|i| _ = scope.scope().alloc(i));
    }
    let counted = |log: &Log| {
        let told = take(log).into_iter().filter_map(|told| match told.what {
            EventKind::Rewound { allocations } => Some(("rewound", allocations, told.used)),
            EventKind::Reset { allocations } => Some(("reset", allocations, told.used)),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    // Four scopes in a scope, each given up when the next one begins; the last one with its parent.
    assert_eq!(counted(&log), [("rewound", 1, 32); 3]);
    arena.alloc(2u64);
    assert_eq!(counted(&log), [("rewound", 4, 8)]);
    let checkpoint = arena.checkpoint();
    (0..5).for_each(|i| _ = arena.alloc(i));
    // SAFETY: the five are not used any more.
    unsafe { arena.reset_to(checkpoint) };
    assert_eq!(counted(&log), [("rewound", 5, 16)]);
    arena.reset();
    assert_eq!(counted(&log), [("reset", 2, 0)]);
    assert!(take(&log).is_empty());
    arena.alloc(3u64);
    assert!(take(&log)[0].generation > 4, "each began a new one");
}

#[test]
fn a_block_that_grows_is_told_as_resized() {
    if !support::reserves() {
        return;
    }
    let (arena, log) = logged(GuardPolicy::default());
    let slice = arena.alloc_iter((0..1000u32).filter(|n| n % 2 == 0));
    let address = slice.as_ptr().addr();
    let mut size = None;
    let mut place = 0;
    for told in take(&log) {
        match told.what {
            EventKind::Allocated { size: fresh, .. } => size = Some(fresh),
            EventKind::Resized { from, to, address, .. } => {
                assert_eq!(size, Some(from), "{told:?}");
                (size, place) = (Some(to), address);
            }
            _ => {}
        }
    }
    assert_eq!((size, place), (Some(2000), address));
}

#[cfg(feature = "allocator-api2")]
#[test]
fn a_block_that_is_freed_is_told() {
    use allocator_api2::alloc::Allocator;
    if !support::reserves() {
        return;
    }
    let (arena, log) = logged(GuardPolicy::default());
    let layout = std::alloc::Layout::new::<[u64; 4]>();
    let block = (&arena).allocate(layout).unwrap().cast::<u8>();
    arena.alloc(1u64);
    // SAFETY: the block is this arena's and not used any more.
    unsafe { (&arena).deallocate(block, layout) };
    let freed = |told: Told| {
        let EventKind::Freed { address, size, ordinal } = told.what else { return None };
        Some((address, size, ordinal))
    };
    assert_eq!(take(&log).into_iter().find_map(freed), Some((block.addr().get(), 32, 0)));
}

#[test]
fn texts_are_one_line_with_the_figures() {
    if !support::reserves() {
        return;
    }
    let (mut arena, log) = logged(GuardPolicy::default());
    let line = line!() + 1;
    let address = std::ptr::from_mut(arena.alloc(1u64)).addr();
    arena.reset();
    let told = take(&log);
    let texts = told.iter().map(|told| &*told.text).collect::<Vec<_>>();
    let start = told[0].start;
    let [one, two] = [texts[texts.len() - 2], texts[texts.len() - 1]];
    assert!(one.starts_with("arena \"logged\": allocated #0: 8 bytes at 0x"), "{one}");
    for part in [format!("{address:#x}"), format!("{}:{line}:", file!()), format!("start {start:#x}")] {
        assert!(one.contains(&part), "{part} in {one}");
    }
    assert!(two.contains("reset: 1 allocation"), "{two}");
    assert!(texts.iter().all(|text| !text.contains('\n')));
}

#[test]
fn log_true_writes_lines_to_standard_error() {
    if !support::reserves() {
        return;
    }
    let ended = support::child("log_true");
    ended.assert_success();
    let mut lines = ended.stderr.lines().filter(|line| line.starts_with("highwater: arena \"spoken\": "));
    let mut next = |what: &str| assert!(lines.any(|line| line.contains(what)), "{what} in {ended:#?}");
    // In this order.
    next("allocated #0: 8 bytes");
    next("grew by ");
    next("allocated #1: 1000000 bytes");
    next("reset: 2 allocations");
    next("allocated #2: 1 byte ");
    assert!(!ended.stderr.contains("silent"), "{ended:#?}");
}

fn log_true() {
    let mut arena = Arena::builder().name("spoken").checked().log(true).build();
    arena.alloc(1u64);
    arena.alloc_slice_fill_copy(1_000_000, 1u8);
    arena.reset();
    arena.alloc(1u8);
    Arena::builder().name("silent").checked().log(true).log(false).build().alloc(1u8);
}

#[cfg(feature = "log")]
#[test]
fn the_log_crate_gets_them_at_their_levels() {
    struct Logger(Mutex<Vec<(log::Level, String, String)>>);
    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let one = (record.level(), record.target().to_owned(), record.args().to_string());
            self.0.lock().unwrap().push(one);
        }
        fn flush(&self) {}
    }
    static LOGGER: Logger = Logger(Mutex::new(Vec::new()));
    if !support::reserves() {
        return;
    }
    log::set_logger(&LOGGER).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let mut arena = Arena::builder().name("crate log").checked().log_to(highwater::guard::to_log).build();
    arena.alloc_slice_fill_copy(1_000_000, 1u8);
    arena.reset();
    drop(arena);
    let records = LOGGER.0.lock().unwrap().clone();
    assert!(records.iter().all(|(_, target, text)| target == "highwater" && text.contains("\"crate log\"")));
    let level = |part| records.iter().find(|(_, _, text)| text.contains(part)).map(|(level, ..)| *level);
    assert_eq!(level("allocated #0"), Some(log::Level::Trace), "{records:?}");
    assert_eq!(level("grew by"), Some(log::Level::Debug), "{records:?}");
    assert_eq!(level("reset: "), Some(log::Level::Debug), "{records:?}");
}

#[test]
fn addresses_rest_for_as_many_generations_as_asked_for() {
    if !support::reserves() {
        return;
    }
    for mechanism in mechanisms() {
        for keeps in [0, 1, 3] {
            let guard = GuardPolicy::default().mechanism(mechanism).generations(keeps);
            let mut arena = Arena::builder().guard(guard).checked().build();
            let mut seen = Vec::new();
            for _ in 0..50 {
                let block = std::ptr::from_mut(arena.alloc(1u64)).addr();
                let rested = seen.iter().rev().position(|&before| before == block);
                assert!(
                    rested.is_none_or(|rested| rested >= keeps as usize),
                    "{keeps}: {block:#x} of {seen:#x?}"
                );
                seen.push(block);
                arena.reset();
            }
            // And no longer.
            let different = seen.iter().collect::<BTreeSet<_>>().len();
            assert_eq!(different, keeps as usize + 1, "{mechanism:?}");
        }
    }
}

#[test]
fn ten_thousand_resets_take_no_more_than_a_few() {
    if !support::reserves() {
        return;
    }
    for (mechanism, keeps) in
        [(GuardMechanism::Auto, 1), (GuardMechanism::Auto, 3), (GuardMechanism::Protect, 1)]
    {
        let guard = GuardPolicy::default().mechanism(mechanism).generations(keeps);
        let mut arena = Arena::builder().guard(guard).checked().build();
        let mut state = 1u64;
        let mut after_few = 0;
        for round in 0..10_000 {
            for _ in 0..4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                arena.alloc_uninit_slice::<u8>((state >> 50) as usize + 1);
            }
            arena.reset();
            if round == 500 {
                after_few = arena.committed_bytes();
            }
        }
        let committed = arena.committed_bytes();
        // A round takes up to 4 × 6 pages; fragments do not pile up.
        assert!(
            committed <= 2 * after_few && committed <= 2 << 20,
            "{committed} bytes, {after_few} at first"
        );
        assert!(support::maps::count(support::maps::reserved(arena.region())) < 64);
    }
}
