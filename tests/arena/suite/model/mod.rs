//! Random sequences of calls against a model: no two live allocations overlap, all are aligned, contents
//! survive, and the counters agree.

mod calls;
mod state;

use super::super::kind::{self, Arena, CONTIGUOUS, Scope, builder};
use calls::{Call, Step, steps};
use highwater::{Frame, Growth};
use proptest::prelude::*;
use state::Model;
use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// The calls that arenas and scopes share, by whatever holds the position.
macro_rules! calls_on {
    ($name:ident, $type:ty) => {
        fn $name<const MIN: usize>(on: &$type, call: &Call, model: &mut Model) {
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
                                plain_eq!(block.addr().get() - model.base, start);
                                assert_eq!(on.allocated_bytes(), end);
                            }
                        }
                    }
                }
                Call::Uninit(len) => {
                    if let Ok(slice) = on.try_alloc_uninit_slice::<u32>(len) {
                        let (committed, used) = (on.committed_bytes(), on.allocated_bytes());
                        plain!(committed >= used, "handed out uncommitted");
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
                    plain!(bytes > room || on.committed_bytes() >= used + bytes);
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
            assert_eq!(stats.committed, on.committed_bytes());
            assert_eq!(on.remaining(), model.limit.saturating_sub(model.used));
            assert!(model.used <= stats.reserved);
            // Blocks with pages of their own commit more than they use, and give some of it back on the way.
            if CONTIGUOUS {
                assert_eq!(stats.peak_committed, model.peak);
                assert!(stats.committed <= stats.reserved);
            }
        }
    };
}

calls_on!(call_on_arena, Arena<MIN>);
calls_on!(call_on_scope, Scope<'_, MIN>);

fn run_in_scope<const MIN: usize>(mut scope: Scope<'_, MIN>, calls: &[Call], model: &mut Model) {
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
    let builder = builder().min_align::<MIN>().reserve(1 << 20).growth(growth);
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
                plain!(after >= model.used && after >= before.min(*keep));
                if CONTIGUOUS && growth != Growth::Upfront {
                    assert_eq!(given_back, before - after);
                }
            }
            Step::Limit(limit) => {
                arena.set_allocation_limit(*limit);
                assert_eq!(arena.allocation_limit(), *limit);
                model.limit = limit.unwrap_or(usize::MAX).min(arena.reserved_bytes());
            }
        }
        plain_eq!(arena.stats().peak_committed, model.peak.max(arena.committed_bytes()));
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
