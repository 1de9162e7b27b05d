//! Locked memory (`mlock`, `mlockall`) and regions: guards, growth and trimming of it, and what its limit counts.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Cause, Growth, GuardMechanism, GuardPolicy, Region};
use libc::{MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT};
use support::guards::Probe;
use support::maps::{self, mappings, statm};
use support::oom::{cannot, child};
use support::raw::page;

const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("locked after", || guards(Some(MCL_CURRENT | MCL_ONFAULT), None)),
    ("locked before", || guards(None, Some(MCL_FUTURE | MCL_ONFAULT))),
    ("known after locking", known_after_locking),
    ("upfront", upfront),
    ("upfront before 5.18", upfront_before_5_18),
    ("growth", growth),
    ("trim at the limit", trim_at_the_limit),
    ("small enough", small_enough),
];

fn ends_well(case: &str) {
    if support::reserves()
        && let Some(ended) = child(case)
    {
        ended.assert_success();
    }
}

fn lock_all(how: i32) {
    // SAFETY: locking changes no contents; the structure is initialised.
    unsafe {
        let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit);
        if libc::mlockall(how) != 0 {
            cannot("all memory cannot be locked here");
        }
    }
}

/// From now on an ordinary user's process, which may lock so many bytes.
fn become_ordinary(limit: usize) {
    // SAFETY: system calls on a structure of ours.
    unsafe {
        let bytes = libc::rlimit { rlim_cur: limit as _, rlim_max: limit as _ };
        if libc::setrlimit(libc::RLIMIT_MEMLOCK, &bytes) != 0 {
            cannot("the limit of locked memory cannot be set: not allowed");
        }
        if libc::geteuid() == 0 && libc::setresuid(65_534, 65_534, 65_534) != 0 {
            cannot("root's rights cannot be given up");
        }
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
}

fn by_advice() -> GuardPolicy {
    GuardPolicy::default().mechanism(GuardMechanism::Advice)
}

#[test]
fn guards_that_are_marks_hold_in_locked_memory() {
    if !support::reserves() || !support::guards::has_advice() {
        return support::skip("the kernel has no MADV_GUARD_INSTALL");
    }
    ends_well("locked after");
    ends_well("locked before");
    ends_well("known after locking");
}

/// Growth over guards that were asked for as marks, in memory that was locked before or after the region was made.
fn guards(after: Option<i32>, before: Option<i32>) {
    before.into_iter().for_each(lock_all);
    let guard = by_advice().at(MIB..MIB + 2 * page()).at(4 * MIB..5 * MIB);
    let region = Region::builder().reserve(64 * MIB).head(64 << 10).guard(guard).build();
    let checked: Arena<8, true> = Arena::builder().reserve(64 * MIB).guard(by_advice()).checked().build();
    let early = checked.alloc(1u64);
    after.into_iter().for_each(lock_all);
    region.ensure(2 * MIB).unwrap();
    if support::has_faults() {
        support::raw::put(&region, 6 * MIB, 1);
    } else {
        region.ensure(6 * MIB + 1).unwrap();
    }
    let (start, mut probe) = (region.as_ptr().expose_provenance(), Probe::new());
    for guard in [MIB..MIB + 2 * page(), 4 * MIB..5 * MIB] {
        assert!(probe.is_closed(start + guard.start..start + guard.end));
        assert!(probe.is_open(start + guard.start - 1) && probe.is_open(start + guard.end));
    }
    let late = checked.alloc(2u64);
    for block in [&*early, &*late] {
        let end = std::ptr::from_ref(block).expose_provenance() + 8;
        assert!(probe.is_open(end - 1) && !probe.is_open(end));
    }
    assert_eq!((*early, *late), (1, 2));
}

/// That the kernel marks pages is found out when everything is locked already, and holds afterwards.
fn known_after_locking() {
    lock_all(MCL_FUTURE | MCL_ONFAULT);
    drop(Region::builder().reserve(MIB).guard(by_advice()).build());
    // SAFETY: unlocking changes no contents.
    assert_eq!(unsafe { libc::munlockall() }, 0);
    let guard = by_advice().at(64 << 10..128 << 10);
    let region = Region::builder().reserve(MIB).head(MIB).guard(guard).build();
    let start = region.as_ptr().expose_provenance();
    assert!(Probe::new().is_closed(start + (64 << 10)..start + (128 << 10)));
    assert_eq!(maps::count(maps::reserved(&region)), 1, "a mark splits no mapping");
}

#[test]
fn what_is_accessible_from_the_start_is_locked_as_it_is_touched() {
    ends_well("upfront");
    if cfg!(target_endian = "little") {
        ends_well("upfront before 5.18");
    }
}

/// `MADV_DONTNEED_LOCKED` is not known: mapped over, the kernel would page in all that is given back.
fn upfront_before_5_18() {
    if !support::limits::forbid_advice(24) {
        cannot("system calls cannot be filtered here");
    }
    upfront();
}

fn upfront() {
    lock_all(MCL_FUTURE);
    let before = statm(1);
    let mut region = Region::builder().reserve(256 * MIB).growth(Growth::Upfront).build();
    assert!(statm(1) - before < 64 * MIB, "{} bytes are present", statm(1) - before);
    support::raw::put(&region, 200 * MIB, 1);
    let is_locked = |region: &Region| mappings(maps::reserved(region)).iter().all(|found| found.has("lo"));
    assert!(is_locked(&region));
    // SAFETY: nothing refers to it.
    unsafe { region.trim(MIB) };
    assert_eq!(support::raw::get(&region, 200 * MIB), 0);
    assert!(is_locked(&region) && statm(1) - before < 64 * MIB);
}

#[test]
fn growth_is_locked_where_the_reservation_is() {
    ends_well("growth");
}

fn growth() {
    let before = Region::builder().reserve(64 * MIB).build();
    lock_all(MCL_CURRENT | MCL_FUTURE);
    let after = Region::builder().reserve(64 * MIB).build();
    for mut region in [before, after] {
        for _ in 0..2 {
            region.ensure(8 * MIB).unwrap();
            let found = mappings(maps::reserved(&region));
            assert!(found.iter().all(|mapping| mapping.has("lo")), "{found:#?}");
            let resident: usize = found.iter().map(|mapping| mapping.resident).sum();
            assert!(resident >= 8 * MIB, "{resident} bytes are present");
            // SAFETY: nothing refers to it.
            assert_eq!(unsafe { region.trim(MIB) }, 7 * MIB);
        }
    }
}

#[test]
fn trimming_works_at_the_limit_of_locked_memory() {
    ends_well("trim at the limit");
}

fn trim_at_the_limit() {
    become_ordinary(8 * MIB);
    // SAFETY: locking changes no contents.
    if unsafe { libc::mlockall(MCL_FUTURE) } != 0 {
        cannot("memory cannot be locked here");
    }
    // (With what aligns it, it takes 6 MiB.)
    let mut region = Region::builder().reserve(4 * MIB).build();
    region.ensure(4 * MIB).unwrap();
    // The rest of the limit.
    let (protection, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: fresh mappings overlap nothing.
    while unsafe { libc::mmap(std::ptr::null_mut(), page(), protection, flags, -1, 0) } != libc::MAP_FAILED {}
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN));
    let error = Region::builder().reserve(page()).try_build().unwrap_err();
    assert!(error.to_string().contains("refused by RLIMIT_MEMLOCK, whose limit is "), "{error}");
    assert_eq!(highwater::OutOfMemory::from(error).cause(), Cause::LockedLimit);
    for round in 1..4 {
        support::raw::put(&region, 3 * MIB, round);
        // SAFETY: nothing refers to it.
        let trimmed = unsafe { region.trim(MIB) };
        if trimmed == 0 && support::before_linux((5, 18)) {
            cannot("locked memory is not allowed to be dropped before Linux 5.18");
        }
        assert_eq!((trimmed, region.committed_bytes()), (3 * MIB, MIB));
        region.ensure(4 * MIB).unwrap();
        assert_eq!(support::raw::get(&region, 3 * MIB), 0);
    }
    let found = mappings(maps::reserved(&region));
    assert!(found.iter().all(|mapping| mapping.has("lo")), "{found:#?}");
}

/// What the documentation says to do: a reservation that fits below the limit.
#[test]
fn an_ordinary_user_locks_what_is_reserved_small() {
    if !support::reserves() {
        return;
    }
    // malloc's arena for a thread and a thread's stack count as well.
    let small = |command: &mut std::process::Command| {
        command.env("MALLOC_ARENA_MAX", "1").env("RUST_MIN_STACK", "262144");
    };
    if let Some(ended) = support::oom::child_changed("small enough", small) {
        ended.assert_success();
    }
}

fn small_enough() {
    let limit = (statm(0) + MIB).max(8 * MIB);
    become_ordinary(limit);
    let small = Region::builder().reserve(MIB / 2).build();
    // SAFETY: locking changes no contents.
    if unsafe { libc::mlockall(MCL_CURRENT | MCL_FUTURE) } != 0 {
        cannot("all memory cannot be locked here");
    }
    small.ensure(MIB / 4).unwrap();
    assert!(mappings(maps::reserved(&small)).iter().all(|mapping| mapping.has("lo")));
    // SAFETY: unlocking changes no contents.
    assert_eq!(unsafe { libc::munlockall() }, 0);
    let _large = Region::builder().reserve(1 << 30).build();
    // SAFETY: as above.
    let result = unsafe { libc::mlockall(MCL_CURRENT) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    assert_eq!((result, errno), (-1, Some(libc::ENOMEM)), "a reservation counts in full");
}
