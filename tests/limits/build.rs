//! A region that cannot be built: the error names the limit that stood in the way, with its figures, as growth does.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{
    Arena, BuildError, Cause, GrowVec, GuardError, GuardMechanism, GuardPolicy, OutOfMemory, Region,
};
use support::limits::{mapping_limit, use_up_mappings};
use support::oom::{cannot, child};
use support::raw::page;

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("no mappings left", mappings),
    ("a guard", a_guard),
    ("more than memory", more_than_memory),
    ("no gap", no_gap),
    ("no gap at first", no_gap_at_first),
];

fn ends_well(case: &str) {
    if support::reserves()
        && let Some(ended) = child(case)
    {
        ended.assert_success();
    }
}

#[test]
fn the_limit_of_mappings_is_named() {
    ends_well("no mappings left");
}

fn mappings() {
    let Some(most) = mapping_limit() else {
        cannot("the limit of mappings is unknown or too large to be used up")
    };
    let kept = Arena::new();
    use_up_mappings(most);
    let check = |error: OutOfMemory| {
        assert_eq!((error.cause(), error.limit()), (Cause::MapCount, Some(most as u64)), "{error}");
        assert!(error.to_string().contains(&format!("of vm.max_map_count {most})")), "{error}");
    };
    check(Arena::try_new().unwrap_err());
    check(GrowVec::<u64>::try_with_capacity(1000).unwrap_err());
    // As small as can be.
    let error = Region::builder().reserve(page()).head(page()).try_build().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("{} bytes refused by vm.max_map_count, of whose {most}", page())),
        "{text}"
    );
    let BuildError::Refused { limit: Some((name, limit, taken)), kept_back, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((*name, *limit, *kept_back), ("vm.max_map_count", most as u64, 0));
    assert!((most as u64 - 4..=most as u64 + 3).contains(taken), "{taken}");
    check(error.into());
    // What is there already still grows.
    assert_eq!(kept.alloc_slice_fill_copy(MIB, 1u8).len(), MIB);
}

#[test]
fn a_guard_that_does_not_fit_names_the_limit_too() {
    ends_well("a guard");
}

fn a_guard() {
    let Some(most) = mapping_limit() else {
        cannot("the limit of mappings is unknown or too large to be used up")
    };
    let protect = GuardPolicy::default().mechanism(GuardMechanism::Protect);
    let mut region = Region::builder().reserve(16 * MIB).head(MIB).guard(protect).build();
    // The list of guards is there.
    // SAFETY: nobody uses the region.
    unsafe { region.guard_at(8 * MIB..9 * MIB) }.unwrap();
    use_up_mappings(most);
    // SAFETY: as above.
    let error = unsafe { region.guard_at(64 << 10..128 << 10) }.unwrap_err();
    assert!(error.to_string().contains("a guard was refused by vm.max_map_count, of whose"), "{error}");
    let GuardError::Limited { bytes, limit: (name, limit, _), .. } = error else { panic!("{error:?}") };
    assert_eq!((bytes, name, limit), (64 << 10, "vm.max_map_count", most as u64));
    let error = OutOfMemory::from(BuildError::Guard(error));
    assert_eq!((error.cause(), error.limit()), (Cause::MapCount, Some(most as u64)));
}

#[test]
fn more_than_there_is_memory_is_named() {
    ends_well("more than memory");
}

fn more_than_memory() {
    let mode = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    if mode.trim() != "0" {
        cannot("vm.overcommit_memory is not 0");
    }
    // SAFETY: sysconf has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) } as usize;
    let swap = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let swap = swap.lines().find_map(|line| line.strip_prefix("SwapTotal:")).unwrap_or("0");
    let swap = swap.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10;
    let total = pages * page() + swap;
    let too_much = (2 * total).next_multiple_of(2 * MIB);
    let error = Region::builder().reserve(4 * total).head(too_much).try_build().unwrap_err();
    let text = error.to_string();
    let words = format!("{too_much} bytes refused by vm.overcommit_memory, which allows ");
    assert!(text.contains(&words) && text.contains(&format!("where {too_much} would be promised")), "{text}");
    let error = OutOfMemory::from(error);
    assert_eq!((error.cause(), error.requested()), (Cause::Overcommit, too_much));
    let limit = error.limit().unwrap() as usize;
    assert!((total - MIB..=total + MIB).contains(&limit), "{limit} of {total}");
    // What grows is looked at before the kernel is asked.
    let error = GrowVec::<u8>::try_with_capacity(too_much).unwrap_err();
    assert!(!matches!(error.cause(), Cause::Kernel(_)), "{error}");
}

#[test]
fn an_address_space_without_a_gap_is_named() {
    ends_well("no gap");
    ends_well("no gap at first");
}

fn no_gap() {
    let kept = Region::builder().reserve(64 * MIB).build();
    let gap = support::limits::use_up_addresses(8 * MIB);
    let error = Arena::try_new().unwrap_err();
    assert_eq!(error.cause(), Cause::AddressSpace, "{error}");
    assert!(error.to_string().contains("address space: no gap of "), "{error}");
    let largest = error.limit().unwrap() as usize;
    assert!((gap..64 * MIB).contains(&largest), "{largest}");
    let text = Region::builder().reserve(32 * MIB).try_build().unwrap_err().to_string();
    assert!(text.contains("bytes refused by the address space, whose largest gap is "), "{text}");
    // As well when it is our own part that says no, because it was asked for again.
    let text = Region::builder().reserve(1 << 36).try_build().unwrap_err().to_string();
    assert!(text.contains("bytes refused by the address space, whose largest gap is "), "{text}");
    let error = Arena::try_new().unwrap_err();
    assert!(error.to_string().contains("address space: no gap of "), "{error}");
    let error = Arena::builder().head(128 * MIB).try_build().unwrap_err().to_string();
    assert!(error.contains("bytes refused by the address space, whose largest gap is "), "{error}");
    // Less is served.
    Region::builder().reserve(gap / 4).build().ensure(MIB).unwrap();
    kept.ensure(32 * MIB).unwrap();
}

/// Nothing was made, and nothing asked for, before others had everything.
fn no_gap_at_first() {
    support::limits::use_up_addresses(8 * MIB);
    for error in [Arena::try_new().unwrap_err(), GrowVec::<u8>::try_with_capacity(100 * MIB).unwrap_err()] {
        assert_eq!(error.cause(), Cause::AddressSpace, "{error}");
        assert!(error.to_string().contains("address space: no gap of "), "{error}");
    }
    // Beyond the quarter it is the quarter, whatever others have.
    let error = Region::builder().reserve(usize::MAX / 2).try_build().unwrap_err();
    assert!(matches!(error, BuildError::AddressSpace { .. }), "{error}");
    Region::builder().reserve(2 * MIB).build().ensure(MIB).unwrap();
}

#[test]
fn a_checked_arena_beyond_its_records_says_so() {
    if !support::reserves() {
        return;
    }
    let reserve = (u32::MAX as usize).saturating_mul(page()).saturating_add(GIB);
    match Arena::builder().reserve(reserve).checked().try_build() {
        Err(BuildError::AddressSpace { .. }) => support::skip("so many mappings are allowed"),
        Err(BuildError::Guard(error)) => {
            assert!(error.to_string().contains("the records of a checked arena, which allow"), "{error}");
        }
        other => panic!("{:?}", other.map(drop)),
    }
}
