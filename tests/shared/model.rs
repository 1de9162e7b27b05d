//! Random calls on a shared arena against a model: no two live blocks overlap, all are aligned and keep what is in
//! them, limits are exact to the byte, and a failure changes nothing or leaves the arena full.

use crate::body;
use body::{Call, Live, call_local, call_shared, calls, layout_of};
use highwater::SharedArena;
use proptest::prelude::*;

const RESERVE: usize = 1 << 20;

#[derive(Clone, Debug)]
enum Step {
    Calls(Vec<(Call, bool)>),
    Local(Vec<(Call, bool)>),
    Reset,
    Trim(usize),
    Limit(Option<usize>),
    Guard(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let limit = prop_oneof![Just(None), (0usize..2000).prop_map(Some), (0usize..600_000).prop_map(Some)];
    let step = prop_oneof![
        6 => calls().prop_map(Step::Calls),
        3 => calls().prop_map(Step::Local),
        2 => Just(Step::Reset),
        1 => (0usize..400_000).prop_map(Step::Trim),
        2 => limit.prop_map(Step::Limit),
        1 => (0usize..16).prop_map(Step::Guard),
    ];
    prop::collection::vec(step, 1..8)
}

/// A number rounded up to an alignment.
fn up(n: usize, align: usize) -> usize {
    n.next_multiple_of(align)
}

struct Model<const M: usize> {
    arena: SharedArena<M>,
    live: Live,
    base: usize,
    /// The smallest of the region's limit and its first guard.
    region: usize,
    limit: Option<usize>,
}

impl<const M: usize> Model<M> {
    fn new(limit: usize) -> Self {
        let builder = SharedArena::builder().min_align::<M>();
        let arena = builder.reserve(RESERVE).head(0).limit(limit).build();
        let base = arena.region().as_ptr().addr();
        let region = limit.min(arena.reserved_bytes());
        Model { arena, live: Live::default(), base, region, limit: None }
    }

    fn most(&self) -> usize {
        self.region.min(self.limit.unwrap_or(usize::MAX))
    }

    #[track_caller]
    fn check(&self) {
        let used = self.arena.allocated_bytes();
        assert_eq!(self.arena.remaining(), self.most().saturating_sub(used));
        assert_eq!(self.arena.stats().used, used);
        assert!(self.live.end().is_none_or(|end| end <= self.base + used), "a live block past the position");
    }

    fn shared(&mut self, call: &Call, fallible: bool) {
        let (before, most) = (self.arena.allocated_bytes(), self.most());
        let made = call_shared(&self.arena, call, fallible);
        let after = self.arena.allocated_bytes();
        let full = up(most, M).max(before);
        if let Some(layout) = layout_of(call) {
            // Where the block goes, exactly, and what a plain call may add for its alignment at most.
            let start = up(self.base + before, layout.align()) - self.base;
            let end = if layout.size() == 0 { before } else { up(start + layout.size(), M) };
            let padded = if layout.size() == 0 {
                before
            } else {
                before + up(layout.size(), M) + layout.align().saturating_sub(M)
            };
            let fits = end <= most || layout.size() == 0;
            match (&made, fallible) {
                (Ok(_), true) => assert!(fits && after == end, "{call:?}: {before} -> {after}, not {end}"),
                (Ok(_), false) => {
                    assert!(fits, "{call:?} at {before} passed the limit {most}");
                    assert!(
                        after == padded || after == end || after == full,
                        "{call:?}: {before} -> {after}"
                    );
                }
                (Err(()), true) => {
                    assert!(!fits && after == before, "{call:?}: {before} -> {after} of {most}")
                }
                (Err(()), false) => {
                    assert!(padded > most, "{call:?} at {before} fits below {most}");
                    assert_eq!(after, full, "a plain call that fails leaves the arena full");
                }
            }
        } else if made.is_err() && !fallible {
            assert!(after >= before);
        }
        if let Ok(Some(block)) = made {
            if block.size > 0 {
                assert!(block.start.addr() >= self.base + before, "below the position");
                assert!(block.start.addr() + block.size <= self.base + after);
            }
            self.live.add(block, self.base..self.base + most);
        }
        self.check();
    }

    fn local(&mut self, calls: &[(Call, bool)]) {
        let before = self.arena.allocated_bytes();
        let local = self.arena.local();
        let region = self.base + before.min(self.most())..self.base + self.most();
        let mut last = before;
        for (call, fallible) in calls {
            // Both kinds of call of a part are all or nothing for the shared arena's counter.
            if let Ok(Some(block)) = call_local(&local, call, *fallible) {
                self.live.add(block, region.clone());
            }
            let now = self.arena.allocated_bytes();
            assert!(now >= last || local.remaining_in_part() == 0, "{now} after {last}");
            last = now;
        }
        let left = local.remaining_in_part();
        let used = self.arena.allocated_bytes();
        drop(local);
        let after = self.arena.allocated_bytes();
        assert!(after == used || after == used - left, "{used} with {left} left became {after}");
        self.check();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Calls(calls) => calls.iter().for_each(|(call, fallible)| self.shared(call, *fallible)),
            Step::Local(calls) => self.local(calls),
            Step::Reset => {
                self.live.verify();
                self.live.clear();
                self.arena.reset();
                assert_eq!(self.arena.allocated_bytes(), 0);
            }
            Step::Trim(keep) => {
                let committed = self.arena.committed_bytes();
                let given_back = self.arena.trim(*keep);
                assert_eq!(self.arena.committed_bytes(), committed - given_back);
            }
            Step::Limit(limit) => {
                self.arena.set_allocation_limit(*limit);
                self.limit = *limit;
                assert_eq!(self.arena.allocation_limit(), *limit);
            }
            Step::Guard(place) => {
                let start = place * (RESERVE / 16);
                let used = self.arena.allocated_bytes();
                match self.arena.guard_at(start..start + RESERVE / 16) {
                    Ok(()) => {
                        assert!(start >= used);
                        self.region = self.region.min(start);
                    }
                    // What is in use, what lies past the region's limit, or (without protection) everything.
                    Err(error) => assert!(start < used || cfg!(highwater_portable) || start > 0, "{error}"),
                }
            }
        }
        self.check();
        self.live.verify();
    }
}

fn run<const M: usize>(limit: usize, steps: &[Step]) {
    let mut model = Model::<M>::new(limit);
    steps.iter().for_each(|step| model.step(step));
    model.live.clear();
    model.arena.set_allocation_limit(None);
    model.limit = None;
    model.arena.reset();
    model.check();
    // Whatever happened, all of it is there again.
    let most = model.most() & !(M - 1);
    model.arena.try_alloc_slice_fill_copy(most, 1u8).unwrap();
    assert!(model.arena.try_alloc(1u8).is_err() || model.most() > most);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn packed(limit in 1usize..=RESERVE, steps in steps()) {
        run::<1>(limit, &steps);
    }

    #[test]
    fn words(limit in 1usize..=RESERVE, steps in steps()) {
        run::<8>(limit, &steps);
    }

    #[test]
    fn cache_lines(limit in 1usize..=RESERVE, steps in steps()) {
        run::<64>(limit, &steps);
    }

    #[test]
    fn pages(limit in 1usize..=RESERVE, steps in steps()) {
        run::<4096>(limit, &steps);
    }
}
