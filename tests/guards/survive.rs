//! Guards stay closed, whatever happens to the region around them: asked of the kernel, without a fault.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{
    Arena, Backing, DebugArena, Engine, Growth, GuardMechanism, GuardPolicy, HugePages, Region, engine,
};
use std::ops::Range;
use support::guards::{Probe, mechanisms, touch};
use support::raw::{forked, page};

const MIB: usize = 1 << 20;
const RESERVE: usize = 32 * MIB;
/// Guards of one page and of many, inside and across huge pages.
const PLACED: [Range<usize>; 3] =
    [0x21000..0x22000, 3 * MIB..3 * MIB + 0x10000, 6 * MIB - 0x8000..6 * MIB + 0x8000];

fn policy(mechanism: GuardMechanism) -> GuardPolicy {
    let policy = GuardPolicy::default().before(2 * page()).after(3 * page()).mechanism(mechanism);
    PLACED.into_iter().fold(policy, GuardPolicy::at)
}

fn is_placed(offset: usize) -> bool {
    PLACED.iter().any(|guard| guard.contains(&offset))
}

/// Every guard of the region is closed, at both ends and inside; what is committed beside them is open.
#[track_caller]
fn assert_guarded(region: &Region, probe: &mut Probe) {
    let start = region.as_ptr().expose_provenance();
    let end = start + region.reserved_bytes();
    assert!(probe.is_closed(start - 2 * page()..start), "before the head");
    assert!(probe.is_closed(end..end + 3 * page()), "after the end");
    for guard in PLACED {
        assert!(probe.is_closed(start + guard.start..start + guard.end), "{guard:x?}");
        for beside in [guard.start - 1, guard.end] {
            let wanted = beside < region.committed_bytes();
            assert_eq!(probe.is_open(start + beside), wanted, "{beside:#x} beside {guard:x?}");
        }
    }
}

/// Grows to `len` bytes, by faults where there are such, and writes to every page that is no guard.
fn fill(region: &Region, len: usize) {
    if engine() == Engine::Explicit {
        region.ensure(len).unwrap();
    }
    let start = region.as_ptr().expose_provenance();
    for offset in (0..len).step_by(page()).filter(|&offset| !is_placed(offset)) {
        touch(start + offset, true);
    }
}

fn bytes_intact(region: &Region, len: usize) -> bool {
    let start = region.as_ptr();
    let mut offsets = (0..len).step_by(page()).filter(|&offset| !is_placed(offset));
    // SAFETY: the bytes are committed: they were written.
    offsets.all(|offset| unsafe { start.add(offset).read_volatile() } == 1)
}

fn survives(growth: Growth, huge_pages: HugePages, backing: Backing, mechanism: GuardMechanism) {
    let is_file = matches!(backing, Backing::Temp(_));
    let builder = Region::builder().reserve(RESERVE).growth(growth).populate(true).huge_pages(huge_pages);
    let mut region = builder.backing(backing).guard(policy(mechanism)).build();
    let mut probe = Probe::new();
    assert_guarded(&region, &mut probe);
    for len in [0x1d000, 0x40000, 5 * MIB, 12 * MIB, RESERVE] {
        fill(&region, len);
        assert_guarded(&region, &mut probe);
        assert!(bytes_intact(&region, len));
    }
    // Inside guards, right before and behind them, and everything.
    for keep in [16 * MIB, 6 * MIB, 6 * MIB - 0x8000, 3 * MIB + 0x10000, 0x21800, 0x21000, 0] {
        // SAFETY: nothing refers to the contents.
        unsafe { region.trim(keep) };
        assert_guarded(&region, &mut probe);
        assert!(bytes_intact(&region, keep));
        fill(&region, 20 * MIB);
        assert_guarded(&region, &mut probe);
        assert!(bytes_intact(&region, 20 * MIB));
    }
    // SAFETY: as above.
    unsafe { region.decommit() };
    region.ensure(RESERVE).unwrap();
    assert_guarded(&region, &mut probe);
    fill(&region, RESERVE);
    let in_child = forked(|| {
        let mut probe = Probe::new();
        if is_file {
            // Nothing of it is the child's.
            let start = region.as_ptr().expose_provenance();
            assert!(PLACED.into_iter().all(|guard| probe.is_closed(start + guard.start..start + guard.end)));
            return;
        }
        assert_guarded(&region, &mut probe);
        // SAFETY: nothing refers to the contents.
        unsafe { region.decommit() };
        fill(&region, 20 * MIB);
        assert_guarded(&region, &mut probe);
    });
    assert_eq!(in_child, 0, "the forked child found something else");
    assert_guarded(&region, &mut probe);
    assert!(bytes_intact(&region, RESERVE));
}

#[test]
fn growth_trim_and_fork_with_every_growth_policy() {
    if !support::reserves() {
        return;
    }
    for mechanism in mechanisms() {
        for growth in [
            Growth::default(),
            Growth::Fixed(64 << 10),
            Growth::Fixed(2 * MIB),
            Growth::Geometric { first: 4096, max: 8 * MIB },
            Growth::Upfront,
        ] {
            survives(growth, HugePages::Never, Backing::Anonymous, mechanism);
        }
    }
}

#[test]
fn huge_pages() {
    if !support::reserves() {
        return;
    }
    for mechanism in mechanisms() {
        survives(Growth::Fixed(2 * MIB), HugePages::Advise, Backing::Anonymous, mechanism);
        survives(Growth::Upfront, HugePages::Advise, Backing::Anonymous, mechanism);
    }
}

#[test]
fn files() {
    let Some(dir) = support::files::directory() else { return };
    for mechanism in mechanisms() {
        for growth in [Growth::default(), Growth::Fixed(64 << 10), Growth::Upfront] {
            survives(growth, HugePages::Never, Backing::Temp(dir.path().into()), mechanism);
        }
    }
}

/// A guard in a step makes populating it fail, which is no error and does not end populating.
#[test]
fn populating_goes_on_behind_a_guard() {
    if !support::has_faults() {
        return;
    }
    let populated = |guard: GuardPolicy| {
        let growth = Growth::Fixed(MIB);
        let builder = Region::builder().reserve(RESERVE).growth(growth).huge_pages(HugePages::Never);
        let region = builder.populate(true).guard(guard).build();
        fill(&region, 12 * MIB);
        region.stats().populated as usize
    };
    let without = populated(GuardPolicy::default());
    if without == 0 {
        return support::skip("the kernel does not populate by request");
    }
    for mechanism in mechanisms() {
        // Four steps have guards in them, and the first is the head's.
        let with = populated(policy(mechanism));
        assert!(with + 5 * MIB >= without && with <= without, "{mechanism:?}: {with} of {without}");
    }
}

#[test]
fn a_jump_commits_the_gap_and_populates_around_the_touch() {
    if !support::has_faults() {
        return;
    }
    for mechanism in mechanisms() {
        let growth = Growth::Fixed(256 << 10);
        let builder = Region::builder().reserve(RESERVE).growth(growth).huge_pages(HugePages::Never);
        let region = builder.guard(policy(mechanism)).build();
        let start = region.as_ptr().expose_provenance();
        touch(start + 20 * MIB, true);
        let committed = region.committed_bytes();
        assert!(committed > 20 * MIB && committed <= 20 * MIB + (512 << 10), "{committed}");
        assert!(region.stats().populated <= 512 << 10, "{:?}", region.stats());
        assert_eq!(region.stats().faults, 1);
        // Before the probe, which reads.
        let resident =
            support::maps::mappings(start..start + committed).iter().map(|m| m.resident).sum::<usize>();
        assert!(resident <= MIB, "{resident} bytes of the gap are resident");
        assert_guarded(&region, &mut Probe::new());
        touch(start + 10 * MIB, true);
        assert_eq!(region.stats().faults, 1, "the gap is committed");
    }
}

/// Where a block's guard begins.
fn behind<T>(block: &T) -> usize {
    (std::ptr::from_ref(block).expose_provenance() + size_of::<T>()).next_multiple_of(page())
}

#[test]
fn a_debug_arena_through_growth_trim_and_fork() {
    if !support::reserves() {
        return;
    }
    for mechanism in mechanisms() {
        for growth in [Growth::default(), Growth::Fixed(2 * MIB), Growth::Upfront] {
            let builder = Arena::builder().growth(growth).populate(true).guard(policy(mechanism));
            debug_survives(builder.checked().build());
        }
    }
    if let Some(dir) = support::files::directory() {
        let builder = Arena::builder().reserve(RESERVE).backing(Backing::Temp(dir.path().into()));
        debug_survives(builder.guard(policy(GuardMechanism::Auto)).checked().build());
        let builder = Arena::builder().reserve(RESERVE).backing(Backing::Temp(dir.path().into()));
        debug_survives(builder.guard(policy(GuardMechanism::Protect)).checked().build());
    }
}

fn debug_survives(mut arena: DebugArena) {
    let mut probe = Probe::new();
    let start = arena.region().as_ptr().expose_provenance();
    for round in 0..4u8 {
        let arena_ref = &arena;
        let blocks =
            (0..2000).map(|i| arena_ref.alloc([round; 5000].map(|b| b ^ i as u8))).collect::<Vec<_>>();
        let is_well = |probe: &mut Probe| {
            blocks.iter().enumerate().all(|(i, block)| {
                let guard = behind(*block);
                block.iter().all(|&byte| byte == round ^ i as u8)
                    && probe.is_open(guard - 1)
                    && probe.is_closed(guard..guard + page())
            }) && PLACED.into_iter().all(|guard| probe.is_closed(start + guard.start..start + guard.end))
        };
        assert!(is_well(&mut probe), "round {round}");
        let is_file = arena.region().growth() == Growth::default() && arena.reserved_bytes() == RESERVE;
        if !is_file {
            assert_eq!(forked(|| assert!(is_well(&mut Probe::new()))), 0, "in the child, round {round}");
        }
        assert!(is_well(&mut probe), "round {round}");
        let given_up = behind(blocks[0]) - 1;
        arena.reset();
        assert!(!probe.is_open(given_up));
        if round % 2 == 1 {
            arena.trim(0);
            assert!(!probe.is_open(given_up));
        }
    }
}
