//! A region that goes on in a file when memory runs out: addresses and contents stay, the file is nobody else's and
//! gone afterwards, and what a file cannot do is refused by name.

use crate::support;
use highwater::oom::{Injection, Response};
use highwater::{Arena, Backing, Builder, Cause, Engine, Growth, GuardPolicy, Region, engine};
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use support::maps::{mappings, reserved};
use support::raw::{forked, get, page, put};
use support::{child, child_with, reserves};

const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("a refused step", refused_step),
    ("a full disk", full_disk),
    ("the data limit", data_limit),
    ("a short file", short_file),
    ("larger than the cgroup", || on_threads(1)),
    ("larger than the cgroup, four threads", || on_threads(4)),
    ("larger than a small cgroup", || fill_and_read(48 * MIB)),
];

/// An arena that may spill to a directory on a disk; skips the running test where there is none.
fn spilling(dir: &Path) -> Builder<Arena> {
    Arena::builder().name("spills").reserve(1 << 30).on_refusal(Response::Spill(dir.into()))
}

/// A directory on a file system that is not memory.
fn directory() -> Option<tempfile::TempDir> {
    if !reserves() {
        return None;
    }
    for place in [std::env::temp_dir(), "/var/tmp".into(), env!("CARGO_TARGET_TMPDIR").into()] {
        let Ok(dir) = tempfile::tempdir_in(place) else { continue };
        match spilling(dir.path()).try_build() {
            Ok(_) => return Some(dir),
            Err(error) => assert!(error.to_string().contains("spill"), "{error}"),
        }
    }
    support::skip("no directory here is on a disk that can be spilled to");
    None
}

/// How much of a region lives in the file: what is mapped with a name.
fn in_file(region: &Region) -> usize {
    let there = mappings(reserved(region));
    let file = there.iter().filter(|mapping| mapping.protection.ends_with('s'));
    file.map(|mapping| mapping.range.len()).sum()
}

#[test]
fn what_was_allocated_stays_and_what_comes_is_in_the_file() {
    let Some(dir) = directory() else { return };
    let mut arena = spilling(dir.path()).inject(Injection::nth(5)).build();
    let start = arena.alloc(0u64) as *const u64;
    let count = (64 * MIB / 8) as u64;
    for i in 1..count {
        assert_eq!(arena.alloc(i) as *const u64, start.wrapping_add(i as usize), "one contiguous range");
    }
    assert!(in_file(arena.region()) > 512 * MIB, "the rest is the file's");
    // SAFETY: the values were allocated side by side and nothing writes to them.
    let values = unsafe { std::slice::from_raw_parts(start, count as usize) };
    assert!(values.iter().copied().eq(0..count));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
    // Back to what was in memory: the file is empty again and growth begins anew in memory.
    arena.reset();
    assert!(arena.trim(MIB) > 0);
    assert_eq!(in_file(arena.region()), 0);
    arena.alloc_slice_fill_copy(8 * MIB, 7u8);
    assert_eq!(in_file(arena.region()), 0);
}

#[test]
fn calls_that_return_errors_spill_too() {
    let Some(dir) = directory() else { return };
    let arena = spilling(dir.path()).inject(Injection::nth(2)).build();
    let blocks: Vec<_> = (0..40u8)
        .map(|i| arena.try_alloc_slice_fill_copy(MIB, i).expect("there is a file to go on in"))
        .collect();
    assert!(in_file(arena.region()) > 0);
    assert!(blocks.iter().zip(0..).all(|(block, i)| block.iter().all(|&byte| byte == i)));
    arena.commit_ahead(20 * MIB).unwrap();
    let buffer = arena.alloc_uninit_slice::<u8>(MIB);
    // SAFETY: the buffer is committed, as its documentation says, and the kernel is asked.
    let read = unsafe {
        let zero = std::os::fd::IntoRawFd::into_raw_fd(std::fs::File::open("/dev/zero").unwrap());
        libc::read(zero, buffer.as_mut_ptr().cast(), MIB)
    };
    assert_eq!(read, MIB as isize, "the kernel may write there");
}

#[test]
fn threads_that_grow_one_region_spill_it_once() {
    let Some(dir) = directory() else { return };
    let page = page();
    for round in 1..=10 {
        let region = Region::builder().reserve(256 * MIB).head(page).growth(Growth::Fixed(16 * page));
        let region = region.on_refusal(Response::Spill(dir.path().into())).inject(Injection::nth(round * 3));
        let region = region.build();
        std::thread::scope(|scope| {
            for thread in 0..4usize {
                let region = &region;
                scope.spawn(move || {
                    for i in (thread..8000).step_by(4) {
                        if engine() == Engine::Explicit {
                            region.ensure((i + 1) * page).unwrap();
                        }
                        put(region, i * page + thread, thread as u8 + 1);
                    }
                });
            }
        });
        assert!((0..8000).all(|i| get(&region, i * page + i % 4) == (i % 4) as u8 + 1));
        assert!(in_file(&region) > 0);
    }
}

#[test]
fn a_forked_child_keeps_what_is_in_memory_and_leaves_the_file_alone() {
    let Some(dir) = directory() else { return };
    let mut arena = spilling(dir.path()).growth(Growth::Fixed(MIB)).inject(Injection::nth(1)).build();
    let early = arena.alloc_slice_fill_copy(1000, 5u8).as_ptr();
    let late = arena.alloc_slice_fill_copy(20 * MIB, 6u8);
    let last = &raw mut late[20 * MIB - 1];
    assert!(in_file(arena.region()) > 0);
    let status = forked(|| {
        // SAFETY: the byte was allocated and initialised, and is a part of what is in memory.
        assert_eq!(unsafe { early.read_volatile() }, 5);
        assert_eq!(arena.try_alloc_slice_fill_copy(64 * MIB, 1u8).unwrap_err().cause(), Cause::NotInherited);
        arena.reset();
        assert_eq!(arena.trim(0), 0, "there is nothing of the file to give back");
    });
    assert_eq!(status, 0);
    // SAFETY: the byte is the parent's, allocated and initialised.
    assert_eq!(unsafe { last.read_volatile() }, 6, "the child changed nothing");
}

#[test]
fn guards_behind_the_border_hold() {
    let Some(dir) = directory() else { return };
    let page = page();
    let guard = GuardPolicy::default().at(300 * page..301 * page).at(4000 * page..4002 * page);
    let region = Region::builder().reserve(64 * MIB).head(page).guard(guard);
    let region = region.on_refusal(Response::Spill(dir.path().into())).inject(Injection::nth(1)).build();
    region.ensure(8000 * page).unwrap();
    assert!(in_file(&region) > 0);
    let (reader, writer) = std::io::pipe().unwrap();
    let is_readable = |offset: usize| {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
        // SAFETY: the kernel looks whether the byte can be read; a guard is EFAULT.
        unsafe { libc::write(fd, region.as_ptr().add(offset).cast(), 1) == 1 }
    };
    for (offset, readable) in [
        (299 * page, true),
        (300 * page, false),
        (301 * page, true),
        (3999 * page, true),
        (4000 * page, false),
        (4002 * page - 1, false),
        (4002 * page, true),
    ] {
        assert_eq!(is_readable(offset), readable, "{offset:#x}");
    }
    drop(reader);
}

#[test]
fn what_cannot_spill_is_refused_by_name() {
    if !reserves() {
        return;
    }
    if Path::new("/dev/shm").is_dir() {
        let error = spilling(Path::new("/dev/shm")).try_build().unwrap_err().to_string();
        assert!(error.contains("/dev/shm") && error.contains("memory"), "{error}");
    }
    let error = spilling(Path::new("/nowhere/at/all")).try_build().unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
    let Some(dir) = directory() else { return };
    let checked = spilling(dir.path()).checked().try_build();
    assert!(checked.unwrap_err().to_string().contains("checked arena"));
    let twice = spilling(dir.path()).backing(Backing::Temp(dir.path().into())).try_build();
    assert!(twice.unwrap_err().to_string().contains("in a file"));
}

#[test]
fn a_limit_holds_in_the_file_too() {
    let Some(dir) = directory() else { return };
    let arena = spilling(dir.path()).limit(20 * MIB).inject(Injection::nth(1)).build();
    assert_eq!(arena.alloc_slice_fill_copy(20 * MIB, 1u8).len(), 20 * MIB);
    assert!(in_file(arena.region()) > 0);
    assert_eq!(arena.try_alloc(1u8).unwrap_err().cause(), Cause::RegionLimit);
}

/// RLIMIT_DATA counts private memory only: a file goes on where memory was refused at the commit itself.
#[test]
fn a_limit_on_data_is_passed_by() {
    if directory().is_some() {
        child("the data limit").assert_success();
    }
}

fn data_limit() {
    let dir = directory().unwrap();
    let arena = spilling(dir.path()).build();
    support::limits::limit_data_softly(32 * MIB);
    let block = arena.alloc_slice_fill_copy(200 * MIB, 9u8);
    assert!(block.iter().step_by(4096).all(|&byte| byte == 9));
    // The arena took the last page that the limit allows, and reading the list of mappings needs some.
    support::limits::lift_limits();
    assert!(in_file(arena.region()) > 0);
}

#[test]
fn a_refused_step_in_a_fault_spills() {
    if directory().is_some() {
        child("a refused step").assert_success();
    }
}

fn refused_step() {
    let dir = directory().unwrap();
    let arena = spilling(dir.path()).headroom(highwater::Headroom::AtLeast(1 << 50)).build();
    let block = arena.alloc_slice_fill_copy(50 * MIB, 3u8);
    assert!(block.iter().all(|&byte| byte == 3));
    assert!(in_file(arena.region()) > 0);
}

#[test]
fn a_limit_on_the_length_of_files_is_an_error_when_the_region_is_built() {
    if directory().is_some() {
        child_with("a short file", |command| {
            command.env("RUST_BACKTRACE", "0");
        })
        .assert_success();
    }
}

fn short_file() {
    let dir = directory().unwrap();
    let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
    // SAFETY: the structure is initialised.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
    let error = spilling(dir.path()).try_build().unwrap_err();
    assert!(error.to_string().contains("spill"), "{error}");
}

/// A small disk, which only root can make: an ext file system would need a loop device, so the quota is the file's own
/// file system's, filled up by somebody else.
#[test]
fn a_full_disk_is_a_refusal_and_no_sigbus() {
    let Some(_) = directory() else { return };
    let ended = child("a full disk");
    if ended.stdout.contains("no room is scarce") {
        return support::skip("no small disk can be made here (not root, or no loop device)");
    }
    ended.assert_success();
}

fn full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
    std::fs::create_dir(&mount).unwrap();
    std::fs::File::create(&image).unwrap().set_len(24 << 20).unwrap();
    let quiet = |command: &mut std::process::Command| {
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status()
    };
    let made = quiet(std::process::Command::new("mkfs.ext4").arg("-q").arg(&image));
    let mounted = made.is_ok_and(|status| status.success())
        && quiet(std::process::Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount))
            .is_ok_and(|status| status.success());
    if !mounted {
        println!("no room is scarce");
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let arena = spilling(&mount).growth(Growth::Fixed(MIB)).inject(Injection::nth(2)).build();
        let mut blocks = Vec::new();
        let error = loop {
            match arena.try_alloc_slice_fill_copy(MIB, blocks.len() as u8) {
                Ok(block) => blocks.push(block),
                Err(error) => break error,
            }
        };
        assert_eq!(error.cause(), Cause::DiskFull, "{error}");
        assert!(blocks.len() > 8);
        assert!(blocks.iter().zip(0..).all(|(block, i)| block.iter().all(|&byte| byte == i)));
        assert!(arena.try_alloc([0u8; 64]).is_ok() || arena.remaining() > 0, "the arena is usable");
    });
    let _ = quiet(std::process::Command::new("umount").arg(&mount));
    result.unwrap();
}

/// A scratch arena larger than its cgroup just becomes slower: 2 GiB in 256 MiB when asked for many, 640 MiB otherwise.
#[test]
fn an_arena_larger_than_its_cgroup_completes() {
    if directory().is_none() {
        return;
    }
    let Some(cgroup) = support::cgroup::Cgroup::with_limit(256 * MIB) else { return };
    for case in ["larger than the cgroup", "larger than the cgroup, four threads"] {
        let Some(ended) = cgroup.run(case, |_| {}) else { return };
        ended.assert_success();
        assert!(ended.stdout.contains("in the file"), "{ended:#?}");
    }
}

/// The page cache of the file counts in the cgroup, and the kernel does not wait long for a disk that is busy.
#[test]
fn a_small_cgroup_on_a_busy_disk_is_not_killed() {
    let Some(dir) = directory() else { return };
    let Some(cgroup) = support::cgroup::Cgroup::with_limit(16 * MIB) else { return };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let block = vec![1u8; 4 * MIB];
            while !is_over.load(Relaxed) {
                let mut file = std::fs::File::create(dir.path().join("busy")).unwrap();
                for _ in 0..16 {
                    file.write_all(&block).unwrap();
                }
                file.sync_all().unwrap();
            }
        });
        let _stop = Stop(&is_over);
        if let Some(ended) = cgroup.run("larger than a small cgroup", |_| {}) {
            ended.assert_success();
            assert!(ended.stdout.contains("in the file"), "{ended:#?}");
        }
    });
}

/// Ends the writer, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn fill_and_read(bytes: usize) {
    let dir = directory().unwrap();
    let arena = spilling(dir.path()).build();
    let count = bytes / 8;
    let start = arena.alloc(0u64) as *const u64;
    for i in 1..count as u64 {
        arena.alloc(i);
    }
    // SAFETY: the values were allocated side by side, and nothing writes to them.
    let values = unsafe { std::slice::from_raw_parts(start, count) };
    assert!(values.iter().copied().eq(0..count as u64));
    if in_file(arena.region()) > 0 {
        println!("in the file");
    }
}

fn on_threads(threads: usize) {
    let dir = directory().unwrap();
    let many = std::env::var_os("HIGHWATER_TEST_MANY").is_some();
    let count = (if many { 2048 * MIB } else { 640 * MIB }) / 8 / threads;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let arena = spilling(dir.path()).reserve(4 << 30).build();
                let start = arena.alloc(0u64) as *const u64;
                for i in 1..count as u64 {
                    assert_eq!(arena.alloc(i) as *const u64, start.wrapping_add(i as usize), "in place");
                }
                // SAFETY: the values were allocated side by side, and nothing writes to them.
                let values = unsafe { std::slice::from_raw_parts(start, count) };
                assert!(values.iter().copied().eq(0..count as u64));
                if in_file(arena.region()) > 0 {
                    println!("in the file");
                }
            });
        }
    });
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Allocations, resets and trims before and after the border; every block keeps its bytes, and what was committed
    /// is given back to the last byte.
    #[test]
    fn blocks_keep_their_contents_across_the_border(
        nth in 1u64..8,
        steps in prop::collection::vec((0u8..8, 1usize..600_000), 1..60),
    ) {
        let Some(dir) = directory() else { return Ok(()) };
        let mut arena = spilling(dir.path()).growth(Growth::Fixed(256 << 10)).inject(Injection::nth(nth)).build();
        for (i, chunk) in steps.chunks(12).enumerate() {
            let mut scope = arena.scope();
            let mut blocks = Vec::new();
            for &(kind, len) in chunk {
                if kind == 0 {
                    scope.scoped(|inner| { inner.alloc_slice_fill_copy(len, 0xeeu8); });
                } else {
                    let byte = kind ^ len as u8;
                    blocks.push((scope.alloc_slice_fill_copy(len, byte), byte));
                }
            }
            for (block, byte) in blocks {
                prop_assert!(block.iter().all(|&found| found == byte));
            }
            arena.reset();
            if i % 2 == 1 {
                arena.trim(i * 300_000);
                prop_assert!(arena.committed_bytes() <= (i * 300_000).next_multiple_of(page()).max(64 << 10));
            }
        }
    }
}
