//! Random sequences of calls against a model: no two live allocations overlap, all are aligned, contents
//! survive, and the counters agree.

use highwater::{Arena, Checkpoint, Frame, Growth, Scope};
use proptest::prelude::*;
use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// One call. Sizes and alignments are those of `Layout`s; `Child` runs its own calls in a child scope.
#[derive(Clone, Debug)]
enum Call {
    Layout { size: usize, shift: u32, fallible: bool },
    Uninit(usize),
    Copy(usize),
    Fill { len: usize, inner: usize },
    Clone(usize),
    TryWith { ok: bool, inner: usize },
    TryFill { len: usize, fail_at: usize, inner: usize },
    Iter { len: usize, every: usize, hint: usize },
    Text { pieces: usize, inner: bool },
    Panic(usize),
    Wide(u8),
    Nothing,
    Frame(u8),
    CommitAhead(usize),
    Checkpoint,
    ResetTo,
    Child(Vec<Call>),
}

/// What only an arena can do, between sequences of calls.
#[derive(Clone, Debug)]
enum Step {
    Calls(Vec<Call>),
    Scope(Vec<Call>),
    Reset,
    Trim(usize),
    Limit(Option<usize>),
}

/// A live allocation, filled with a pattern of its ordinal.
#[derive(Clone, Copy, Debug)]
struct Live {
    start: *mut u8,
    len: usize,
    align: usize,
    ordinal: u64,
}

fn pattern(ordinal: u64, i: usize) -> u8 {
    (ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8 ^ (i as u8).wrapping_mul(31)
}

#[derive(Default)]
struct Model {
    live: Vec<Live>,
    checkpoints: Vec<(Checkpoint, usize)>,
    ordinal: u64,
    /// The address of the region's first byte.
    base: usize,
    /// What the arena or the scope in use reported after the last call.
    used: usize,
    limit: usize,
    peak: usize,
}

impl Model {
    /// Where a block goes, and where the position is afterwards, as offsets.
    fn place<const MIN: usize>(&self, size: usize, align: usize) -> (usize, usize) {
        let start = (self.base + self.used).next_multiple_of(align.max(MIN)) - self.base;
        (start, start + size.next_multiple_of(MIN))
    }

    /// Fills a fresh allocation and remembers it.
    fn add(&mut self, start: *mut u8, len: usize, align: usize) {
        self.ordinal += 1;
        let ordinal = self.ordinal;
        for i in 0..len {
            // SAFETY: the caller was handed `len` bytes there.
            unsafe { start.add(i).write(pattern(ordinal, i)) };
        }
        self.live.push(Live { start, len, align, ordinal });
    }

    fn add_slice<T>(&mut self, slice: &mut [T]) {
        self.add(slice.as_mut_ptr().cast(), size_of_val(slice), align_of::<T>());
    }

    /// Everything that lives is aligned, apart from everything else, below `used`, and holds its pattern.
    fn verify(&self, min_align: usize) {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for live in &self.live {
            assert_eq!(live.start.addr() % live.align, 0, "{live:?}");
            if live.len == 0 {
                continue;
            }
            assert_eq!(live.start.addr() % min_align, 0, "{live:?}");
            let from = live.start.addr() - self.base;
            assert!(from + live.len <= self.used, "{live:?} beyond {}", self.used);
            ranges.push((from, from + live.len));
            for i in 0..live.len {
                // SAFETY: the allocation lives, and all of it was written.
                let byte = unsafe { live.start.add(i).read() };
                assert_eq!(byte, pattern(live.ordinal, i), "{live:?} at {i}");
            }
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:?} overlap");
        }
    }
}

/// The calls that arenas and scopes share, by whatever holds the position.
macro_rules! calls_on {
    ($name:ident, $type:ty) => {
        fn $name<const MIN: usize, const CHECKED: bool>(on: &$type, call: &Call, model: &mut Model) {
            let used = on.allocated_bytes();
            assert_eq!(used, model.used, "nothing but the last call moved the position");
            let room = model.limit.saturating_sub(used);
            match *call {
                Call::Layout { size, shift, fallible } => {
                    let layout = Layout::from_size_align(size, 1 << shift).unwrap();
                    let (start, end) = model.place::<MIN>(size, layout.align());
                    let fits = size == 0 || end <= model.limit;
                    let block = if fallible {
                        on.try_alloc_layout(layout).ok()
                    } else {
                        quietly(|| on.alloc_layout(layout))
                    };
                    assert_eq!(block.is_some(), fits, "{call:?} with {room} bytes left");
                    match block {
                        None => assert_eq!(on.allocated_bytes(), used),
                        Some(block) => {
                            model.add(block.as_ptr(), size, layout.align());
                            if size > 0 {
                                assert_eq!(block.addr().get() - model.base, start);
                                assert_eq!(on.allocated_bytes(), end);
                            }
                        }
                    }
                }
                Call::Uninit(len) => {
                    if let Ok(slice) = on.try_alloc_uninit_slice::<u32>(len) {
                        assert!(on.committed_bytes() >= on.allocated_bytes(), "handed out uncommitted");
                        model.add_slice(slice);
                        let buffer = on.try_alloc_uninit_slice::<u8>(len).ok();
                        if let Some(buffer) = buffer {
                            on.ensure_committed(buffer).unwrap();
                            model.add_slice(buffer);
                        }
                    }
                }
                Call::Copy(len) => {
                    if let Ok(slice) = on.try_alloc_slice_copy(&vec![7u16; len]) {
                        assert!(slice.iter().all(|&n| n == 7));
                        model.add_slice(slice);
                    } else {
                        assert!(2 * len + MIN > room);
                    }
                }
                Call::Fill { len, inner } => {
                    let made = on.try_alloc_slice_fill_with(len, |i| {
                        if i < inner && on.remaining() > 1024 {
                            model.add_slice(on.alloc_slice_fill_copy(i + 1, 1u8));
                        }
                        i as u64
                    });
                    if let Ok(slice) = made {
                        assert!(slice.iter().enumerate().all(|(i, &n)| n == i as u64));
                        model.add_slice(slice);
                    }
                }
                Call::Clone(len) => {
                    let source: Vec<Option<u32>> = (0..len as u32).map(Some).collect();
                    if let Ok(slice) = on.try_alloc_slice_clone(&source) {
                        assert_eq!(*slice, *source);
                        model.add_slice(slice);
                    }
                }
                Call::TryWith { ok, inner } => {
                    let made = on.try_alloc_try_with(|| {
                        if inner > 0 && on.remaining() > 1024 {
                            model.add_slice(on.alloc_slice_fill_copy(inner, 2u8));
                        }
                        if ok { Ok([3u64; 5]) } else { Err(()) }
                    });
                    match made {
                        Ok(value) => model.add_slice(value),
                        Err(_) if inner == 0 => assert_eq!(on.allocated_bytes(), used, "taken back"),
                        Err(_) => {}
                    }
                }
                Call::TryFill { len, fail_at, inner } => {
                    let made = on.try_alloc_slice_try_fill_with(len, |i| {
                        if i == inner && on.remaining() > 1024 {
                            model.add_slice(on.alloc_slice_fill_copy(9, 2u8));
                        }
                        if i == fail_at { Err(i) } else { Ok(i as u32) }
                    });
                    match made {
                        Ok(slice) => model.add_slice(slice),
                        Err(_) if inner >= len => assert_eq!(on.allocated_bytes(), used, "taken back"),
                        Err(_) => {}
                    }
                }
                Call::Iter { len, every, hint } => {
                    let mut given = 0;
                    let values = std::iter::from_fn(|| {
                        if given == len {
                            return None;
                        }
                        given += 1;
                        if given % every == 0 && on.remaining() > 1024 {
                            model.add_slice(on.alloc_slice_fill_copy(5, 3u8));
                        }
                        Some(given as u32)
                    });
                    let made = on.try_alloc_iter(Hinted { values, hint });
                    match made {
                        Ok(slice) => {
                            assert!(slice.len() == len && slice.iter().zip(1..).all(|(&n, i)| n == i));
                            let tight = if len == 0 { used } else { model.place::<MIN>(4 * len, 4).1 };
                            assert!(every <= len || on.allocated_bytes() == tight, "nothing is left over");
                            model.add_slice(slice);
                        }
                        Err(_) if every > len => assert_eq!(on.allocated_bytes(), used, "taken back"),
                        Err(_) => {}
                    }
                }
                Call::Text { pieces, inner } => {
                    let mut parts: Vec<String> = (0..pieces).map(|n| "x".repeat(n * 7 % 50)).collect();
                    parts.push(if inner { "inner".into() } else { String::new() });
                    let expected = parts.concat();
                    let shown = std::fmt::from_fn(|f| {
                        for part in &parts {
                            f.write_str(part)?;
                            if inner && on.remaining() > 4096 {
                                on.alloc_str(part);
                            }
                        }
                        Ok(())
                    });
                    if let Ok(text) = on.try_alloc_fmt(format_args!("{shown}")) {
                        assert_eq!(text, expected.as_str());
                        let bytes = text.len();
                        model.add(text.as_mut_ptr(), bytes, 1);
                    } else if !inner {
                        assert_eq!(on.allocated_bytes(), used, "taken back");
                    }
                }
                Call::Panic(len) => {
                    let made = quietly(|| {
                        on.alloc_slice_fill_with(len, |i| if i + 1 == len { panic!("made to") } else { 0u8 })
                            .len()
                    });
                    assert!(made.is_none() || len == 0);
                }
                Call::Wide(fill) => {
                    if let Ok(wide) = on.try_alloc(Wide([fill; 300])) {
                        assert_eq!(wide.0, [fill; 300]);
                        model.add_slice(std::slice::from_mut(wide));
                    }
                }
                Call::Nothing => {
                    on.alloc(());
                    assert!(on.alloc_uninit_slice::<MaybeUninit<u128>>(0).as_ptr().is_aligned());
                    assert_eq!(on.allocated_bytes(), used);
                }
                Call::CommitAhead(bytes) => {
                    assert_eq!(on.commit_ahead(bytes).is_ok(), bytes <= room, "{bytes} of {room}");
                    assert!(bytes > room || on.committed_bytes() >= used + bytes);
                }
                Call::Checkpoint => model.checkpoints.push((on.checkpoint(), model.live.len())),
                Call::ResetTo => {
                    if let Some((checkpoint, live)) = model.checkpoints.pop() {
                        model.live.truncate(live);
                        // SAFETY: the model forgot what came later, and the checkpoints taken since.
                        unsafe { on.reset_to(checkpoint) };
                    }
                }
                Call::Frame(_) | Call::Child(_) => unreachable!("scopes only"),
            }
            let stats = on.stats();
            model.used = on.allocated_bytes();
            model.peak = model.peak.max(stats.committed);
            assert_eq!((stats.used, stats.reserved), (model.used, on.reserved_bytes()));
            assert_eq!((stats.committed, stats.peak_committed), (on.committed_bytes(), model.peak));
            assert_eq!(on.remaining(), model.limit.saturating_sub(model.used));
            assert!(stats.committed <= stats.reserved && model.used <= stats.reserved);
        }
    };
}

calls_on!(call_on_arena, Arena<MIN, CHECKED>);
calls_on!(call_on_scope, Scope<'_, MIN, CHECKED>);

fn run_in_scope<const MIN: usize, const CHECKED: bool>(
    mut scope: Scope<'_, MIN, CHECKED>,
    calls: &[Call],
    model: &mut Model,
) {
    for call in calls {
        match call {
            Call::Child(calls) => {
                let (live, used) = (model.live.len(), model.used);
                let checkpoints = std::mem::take(&mut model.checkpoints);
                run_in_scope(scope.scope(), calls, model);
                model.verify(MIN);
                model.live.truncate(live);
                (model.checkpoints, model.used) = (checkpoints, used);
            }
            Call::Frame(0) => fill_frame(scope.try_frame::<0>().ok(), model),
            Call::Frame(1) => fill_frame(scope.try_frame::<21>().ok(), model),
            Call::Frame(_) => fill_frame(scope.try_frame::<500>().ok(), model),
            call => call_on_scope(&scope, call, model),
        }
        model.used = scope.allocated_bytes();
        model.peak = model.peak.max(scope.committed_bytes());
    }
    model.verify(MIN);
}

fn fill_frame<const N: usize, const MIN: usize>(frame: Option<Frame<'_, N, MIN>>, model: &mut Model) {
    let Some(frame) = frame else { return };
    let bytes = frame.remaining();
    assert_eq!(bytes, N.next_multiple_of(MIN));
    // One allocation to the model: the parts of a frame keep no minimum alignment.
    let mut parts = 0;
    let mut start = std::ptr::null_mut();
    while let Ok(part) = frame.try_alloc([parts as u8; 3]) {
        if parts == 0 {
            start = part.as_mut_ptr();
        }
        assert_eq!(part.as_ptr(), start.wrapping_add(3 * parts));
        parts += 1;
    }
    assert_eq!((parts, frame.remaining()), (bytes / 3, bytes % 3));
    if parts > 0 {
        model.add(start, 3 * parts, MIN);
    }
}

fn run<const MIN: usize>(growth: Growth, steps: &[Step]) {
    let builder = Arena::builder().min_align::<MIN>().reserve(1 << 20).growth(growth);
    let mut arena = builder.build();
    let mut model = Model {
        base: arena.region().as_ptr().addr(),
        limit: arena.reserved_bytes(),
        peak: arena.committed_bytes(),
        ..Model::default()
    };
    for step in steps {
        match step {
            Step::Calls(calls) => {
                for call in calls.iter().filter(|call| !matches!(call, Call::Frame(_) | Call::Child(_))) {
                    call_on_arena(&arena, call, &mut model);
                }
            }
            Step::Scope(calls) => {
                let (live, used) = (model.live.len(), model.used);
                let checkpoints = std::mem::take(&mut model.checkpoints);
                run_in_scope(arena.scope(), calls, &mut model);
                model.live.truncate(live);
                (model.checkpoints, model.used) = (checkpoints, used);
                assert_eq!(arena.allocated_bytes(), used);
            }
            Step::Reset => {
                arena.reset();
                let (base, limit, peak, ordinal) = (model.base, model.limit, model.peak, model.ordinal);
                model = Model { base, limit, peak, ordinal, ..Model::default() };
            }
            Step::Trim(keep) => {
                let before = arena.committed_bytes();
                let given_back = arena.trim(*keep);
                let after = arena.committed_bytes();
                assert!(after >= model.used && after >= before.min(*keep));
                if growth != Growth::Upfront {
                    assert_eq!(given_back, before - after);
                }
            }
            Step::Limit(limit) => {
                arena.set_allocation_limit(*limit);
                assert_eq!(arena.allocation_limit(), *limit);
                model.limit = limit.unwrap_or(usize::MAX).min(arena.reserved_bytes());
            }
        }
        assert_eq!(arena.stats().peak_committed, model.peak.max(arena.committed_bytes()));
        model.verify(MIN);
    }
}

/// Takes what an iterator yields and claims another length.
struct Hinted<I> {
    values: I,
    hint: usize,
}

impl<I: Iterator> Iterator for Hinted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.values.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.hint, None)
    }
}

#[repr(align(64))]
struct Wide([u8; 300]);

thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });

/// The result of a closure, `None` when it panics; a panic that is meant to be says nothing.
fn quietly<R>(f: impl FnOnce() -> R) -> Option<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result.ok()
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let len = || prop_oneof![8 => 0usize..100, 1 => 0usize..8000];
    let simple = prop_oneof![
        4 => (prop_oneof![0usize..300, 0usize..40_000], 0u32..=16, prop::bool::weighted(0.8))
            .prop_map(|(size, shift, fallible)| Call::Layout { size, shift, fallible }),
        2 => len().prop_map(Call::Uninit),
        2 => len().prop_map(Call::Copy),
        2 => (len(), 0usize..4).prop_map(|(len, inner)| Call::Fill { len, inner }),
        1 => len().prop_map(Call::Clone),
        2 => (any::<bool>(), 0usize..3).prop_map(|(ok, inner)| Call::TryWith { ok, inner }),
        2 => (0usize..50, 0usize..60, 0usize..60)
            .prop_map(|(len, fail_at, inner)| Call::TryFill { len, fail_at, inner }),
        3 => (len(), 1usize..200, prop_oneof![Just(0), 0usize..100, Just(usize::MAX)])
            .prop_map(|(len, every, hint)| Call::Iter { len, every, hint }),
        2 => (0usize..30, any::<bool>()).prop_map(|(pieces, inner)| Call::Text { pieces, inner }),
        1 => (0usize..100).prop_map(Call::Panic),
        1 => any::<u8>().prop_map(Call::Wide),
        1 => Just(Call::Nothing),
        2 => (0u8..3).prop_map(Call::Frame),
        1 => (0usize..300_000).prop_map(Call::CommitAhead),
        2 => Just(Call::Checkpoint),
        2 => Just(Call::ResetTo),
    ];
    let call =
        simple.prop_recursive(3, 48, 12, |inner| prop::collection::vec(inner, 0..12).prop_map(Call::Child));
    prop::collection::vec(call, 0..16)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => calls().prop_map(Step::Calls),
        4 => calls().prop_map(Step::Scope),
        2 => Just(Step::Reset),
        1 => (0usize..200_000).prop_map(Step::Trim),
        1 => prop_oneof![Just(None), (0usize..300_000).prop_map(Some)].prop_map(Step::Limit),
    ];
    prop::collection::vec(step, 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packed(steps in steps()) {
        run::<1>(Growth::default(), &steps);
    }

    #[test]
    fn halfwords_in_small_steps(steps in steps()) {
        run::<2>(Growth::Fixed(1), &steps);
    }

    #[test]
    fn words(steps in steps()) {
        run::<8>(Growth::Geometric { first: 1, max: 1 << 30 }, &steps);
    }

    #[test]
    fn words_under_stress(steps in steps(), seed: u64) {
        run::<8>(Growth::Stress { seed }, &steps);
    }

    #[test]
    fn vectors_with_everything_committed(steps in steps()) {
        run::<16>(Growth::Upfront, &steps);
    }

    #[test]
    fn cache_lines(steps in steps()) {
        run::<64>(Growth::default(), &steps);
    }
}
