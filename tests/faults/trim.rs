//! Memory given back: what is left is as if it had never been committed.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Growth, HugePages, Region};
use support::maps::{self, Mapping};
use support::raw::page;

const MIB: usize = 1 << 20;

fn arena() -> Arena {
    Arena::builder().name("trimmed").reserve(256 * MIB).build()
}

#[test]
fn bytes_read_as_zero_after_regrowth() {
    let mut arena = arena();
    for keep in [MIB, 0, 5 * MIB + 1, 64 << 10] {
        assert!(arena.alloc_slice_fill_copy(12 * MIB, 0xffu8).iter().all(|&byte| byte == 0xff));
        let committed = arena.committed_bytes();
        assert!(committed >= 12 * MIB);
        assert_eq!(arena.trim(0), committed - 12 * MIB, "what is in use is kept");
        arena.reset();
        let kept = keep.next_multiple_of(page());
        assert_eq!(arena.trim(keep), 12 * MIB - kept);
        assert_eq!((arena.committed_bytes(), arena.trim(keep)), (kept, 0));
        let bytes = arena.alloc_uninit_slice::<u8>(12 * MIB);
        // SAFETY: committed memory is initialised, with zeroes where it is fresh.
        assert!(bytes[kept..].iter().all(|byte| unsafe { byte.assume_init() } == 0));
        // SAFETY: as above.
        assert!(bytes[..kept].iter().all(|byte| unsafe { byte.assume_init() } == 0xff));
        arena.reset();
    }
}

#[test]
fn the_pages_are_gone() {
    if !support::reserves() {
        return;
    }
    let mut arena = arena();
    arena.alloc_slice_fill_copy(12 * MIB, 1u8);
    let resident = |arena: &Arena| -> usize {
        maps::mappings(maps::reserved(arena.region())).iter().map(|mapping| mapping.resident).sum()
    };
    assert!(resident(&arena) >= 12 * MIB);
    arena.reset();
    arena.trim(MIB);
    assert!(resident(&arena) <= MIB, "{} bytes are resident", resident(&arena));
}

#[test]
fn growing_and_trimming_leaves_three_mappings() {
    if !support::reserves() {
        return;
    }
    let mut arena = arena();
    for i in 1..=200 {
        arena.alloc_slice_fill_copy(i * 20_000, 1u8);
        arena.reset();
        arena.trim((i * 7919) % (3 * MIB));
        let found = maps::count(maps::reserved(arena.region()));
        assert!(found <= 3, "{found} mappings after {i} rounds");
    }
}

#[test]
fn a_region_grows_again_by_touch_where_it_was_trimmed() {
    if !support::has_faults() {
        return;
    }
    let mut region = Region::builder().reserve(64 * MIB).head(0).growth(Growth::Fixed(page())).build();
    // The same instruction and the same addresses every time: no round may be taken for a repeated fault.
    for round in 1..=50 {
        for i in 0..20 {
            support::raw::put(&region, i * page(), round as u8);
        }
        assert_eq!(region.stats().faults, round * 20);
        // SAFETY: nothing refers to the contents.
        assert_eq!(unsafe { region.decommit() }, 20 * page());
    }
    assert_eq!(support::raw::get(&region, 19 * page()), 0);
}

/// Committed part and tail are as they should be.
#[track_caller]
fn check_dress(region: &Region) -> Vec<Mapping> {
    let (range, committed) = (maps::reserved(region), region.committed_bytes());
    let found = maps::mappings(range.clone());
    assert!((1..=3).contains(&found.len()), "{found:#?}");
    for mapping in &found {
        let is_tail = mapping.range.start.max(range.start) >= range.start + committed;
        assert_eq!(mapping.is_accessible(), !is_tail, "{committed:x} of {range:x?}: {mapping:#x?}");
        assert_eq!(mapping.has("dd"), is_tail, "core dumps have what is committed only: {mapping:#x?}");
    }
    found
}

#[test]
fn dump_flags_follow_the_frontier() {
    if support::reserves() {
        through_its_life(arena(), |region| drop(check_dress(region)));
    }
}

#[test]
fn the_advice_about_huge_pages_holds_everywhere() {
    if !support::reserves() {
        return;
    }
    for (huge_pages, flag) in [(HugePages::Advise, "hg"), (HugePages::Never, "nh")] {
        let arena: Arena = Arena::builder().reserve(256 * MIB).huge_pages(huge_pages).build();
        if !check_dress(arena.region())[0].has(flag) {
            return support::skip("this kernel has no transparent huge pages");
        }
        through_its_life(arena, |region| assert!(check_dress(region).iter().all(|m| m.has(flag))));
    }
}

#[test]
fn the_name_is_seen_everywhere() {
    if !support::reserves() {
        return;
    }
    let arena = arena();
    if check_dress(arena.region())[0].name.is_empty() {
        return support::skip("this kernel does not name anonymous mappings");
    }
    through_its_life(arena, |region| {
        assert!(check_dress(region).iter().all(|m| m.name == "[anon:highwater:trimmed]"));
    });
}

/// Looks at a region when it is fresh, after growth and after trimming.
fn through_its_life(mut arena: Arena, look: impl Fn(&Region)) {
    look(arena.region());
    for keep in [MIB, 0, 10 * MIB, 4096] {
        arena.alloc_slice_fill_copy(12 * MIB, 1u8);
        look(arena.region());
        arena.reset();
        arena.trim(keep);
        look(arena.region());
    }
}

/// What a program set for its memory, and how a mapping shows it.
#[test]
fn what_the_program_set_stays_when_memory_is_given_back() {
    if !support::reserves() {
        return;
    }
    for (what, flag, set) in [
        ("mlock", "lo", lock as fn(&Region) -> bool),
        ("MADV_MERGEABLE", "mg", merge),
        ("userfaultfd", "um", register),
    ] {
        let mut region = Region::builder().reserve(64 * MIB).build();
        region.ensure(4 * MIB).unwrap();
        if !set(&region) {
            support::skip(&format!("{what} is not allowed, or this kernel has it not"));
            continue;
        }
        let has = |region: &Region, range: std::ops::Range<usize>| {
            let start = region.as_ptr().addr();
            let found = maps::mappings(start + range.start..start + range.end);
            assert!(found.iter().all(|mapping| mapping.has(flag)), "{what}: {found:#?}");
        };
        has(&region, MIB..4 * MIB);
        // SAFETY: nothing refers to it.
        assert_eq!(unsafe { region.trim(MIB) }, 3 * MIB, "{what}");
        has(&region, MIB..4 * MIB);
        region.ensure(4 * MIB).unwrap();
        has(&region, MIB..4 * MIB);
    }
}

fn lock(region: &Region) -> bool {
    // SAFETY: locking changes no contents.
    unsafe { libc::mlock(region.as_ptr().cast(), 4 * MIB) == 0 }
}

fn merge(region: &Region) -> bool {
    // SAFETY: merging changes no contents.
    unsafe { libc::madvise(region.as_ptr().cast(), 4 * MIB, libc::MADV_MERGEABLE) == 0 }
}

/// Registers what is committed for missing pages, which nobody serves: nothing is touched.
fn register(region: &Region) -> bool {
    #[repr(C)]
    struct Api {
        api: u64,
        features: u64,
        ioctls: u64,
    }
    #[repr(C)]
    struct Register {
        start: u64,
        len: u64,
        mode: u64,
        ioctls: u64,
    }
    const UFFDIO_API: u64 = 0xc018_aa3f;
    const UFFDIO_REGISTER: u64 = 0xc020_aa00;
    let mut api = Api { api: 0xaa, features: 0, ioctls: 0 };
    let start = region.as_ptr().addr() as u64;
    let mut range = Register { start, len: 4 << 20, mode: 1, ioctls: 0 };
    // SAFETY: the structures are the kernel's. The descriptor stays open, or the registration would end.
    unsafe {
        let fd = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) as i32;
        fd >= 0
            && libc::ioctl(fd, UFFDIO_API as _, &raw mut api) == 0
            && libc::ioctl(fd, UFFDIO_REGISTER as _, &raw mut range) == 0
    }
}

#[test]
fn a_numa_policy_stays_when_memory_is_given_back() {
    if !support::reserves() {
        return;
    }
    const MPOL_BIND: libc::c_int = 2;
    const MPOL_F_ADDR: libc::c_ulong = 2;
    let mut region = Region::builder().reserve(64 * MIB).build();
    region.ensure(4 * MIB).unwrap();
    let nodes: libc::c_ulong = 1;
    // SAFETY: a policy changes no contents.
    let bound = unsafe {
        libc::syscall(libc::SYS_mbind, region.as_ptr(), 4 * MIB, MPOL_BIND, &raw const nodes, 64usize, 0usize)
    };
    if bound != 0 {
        return support::skip("a NUMA policy is not allowed, or this kernel has none");
    }
    let policy = |region: &Region| {
        let (mut policy, none) = (-1 as libc::c_int, std::ptr::null_mut::<libc::c_ulong>());
        let place = region.as_ptr().wrapping_add(2 * MIB);
        // SAFETY: writes the number of the policy.
        let asked = unsafe {
            libc::syscall(libc::SYS_get_mempolicy, &raw mut policy, none, 0usize, place, MPOL_F_ADDR)
        };
        assert_eq!(asked, 0);
        policy
    };
    assert_eq!(policy(&region), MPOL_BIND);
    // SAFETY: nothing refers to it.
    assert_eq!(unsafe { region.trim(MIB) }, 3 * MIB);
    assert_eq!(policy(&region), MPOL_BIND);
    region.ensure(4 * MIB).unwrap();
    assert_eq!(policy(&region), MPOL_BIND);
}

/// Guards are what they were, by whatever mechanism, where what is given back stays accessible and where it does not.
#[test]
fn guards_outlast_what_is_given_back() {
    if !support::reserves() {
        return;
    }
    for mechanism in support::guards::mechanisms() {
        for growth in [Growth::Upfront, Growth::Fixed(page())] {
            let guard = highwater::GuardPolicy::default().mechanism(mechanism).at(2 * MIB..3 * MIB);
            let mut region = Region::builder().reserve(8 * MIB).growth(growth).guard(guard).build();
            region.ensure(8 * MIB).unwrap();
            let (start, mut probe) = (region.as_ptr().expose_provenance(), support::guards::Probe::new());
            for _ in 0..2 {
                support::raw::put(&region, 4 * MIB, 1);
                // SAFETY: nothing refers to it.
                assert_eq!(unsafe { region.trim(MIB) }, 7 * MIB, "{mechanism:?}, {growth:?}");
                region.ensure(8 * MIB).unwrap();
                assert!(probe.is_closed(start + 2 * MIB..start + 3 * MIB), "{mechanism:?}, {growth:?}");
                assert_eq!(support::raw::get(&region, 4 * MIB), 0);
            }
        }
    }
}
