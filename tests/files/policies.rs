//! File-backed regions with every policy, after forks, and under a limit on the length of files.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Backing, BuildError, Cause, Growth, GuardPolicy, Region};
use std::io::{Read, Seek, SeekFrom, Write};
use support::files::directory;
use support::limits::limit_file_size;
use support::raw::forked;
use tempfile::TempDir;

fn over(dir: &TempDir) -> Backing {
    Backing::Temp(dir.path().to_owned())
}

#[test]
fn upfront_in_a_file_is_usable_after_everything_was_given_back() {
    let Some(dir) = directory() else { return };
    let mut arena = Arena::builder().reserve(4 << 20).growth(Growth::Upfront).backing(over(&dir)).build();
    for round in 0..3u8 {
        arena.alloc_slice_fill_copy(3 << 20, round);
        arena.reset();
        arena.trim(0);
        let zeroes = arena.try_alloc_uninit_slice::<u8>(1 << 20).unwrap();
        // SAFETY: memory that was given back reads as zero, and so it is initialised.
        assert!(zeroes.iter().all(|byte| unsafe { byte.assume_init() } == 0));
        arena.reset();
    }
}

#[test]
fn a_forked_child_gives_nothing_of_the_parents_back() {
    let Some(dir) = directory() else { return };
    let mut arena = Some(Arena::builder().reserve(64 << 20).backing(over(&dir)).build());
    let kept = arena.as_ref().unwrap().alloc_slice_fill_copy(1 << 20, 7u8).as_ptr();
    let status = forked(|| {
        let mut arena = arena.take().unwrap();
        // Below the frontier and past it: no call that asks first writes, or promises committed memory.
        assert!(arena.try_alloc(1u8).is_err() && arena.try_alloc_str("abc").is_err());
        assert!(arena.try_alloc_uninit::<u64>().is_err());
        assert!(arena.commit_ahead(10).is_err() && arena.region().ensure(4096).is_err());
        let refused = arena.try_alloc_slice_fill_copy(8 << 20, 1u8).unwrap_err();
        assert_eq!(refused.cause(), Cause::NotInherited, "{refused}");
        arena.reset();
        assert_eq!(arena.trim(0), 0);
        drop(arena);
    });
    assert_eq!(status, 0);
    // SAFETY: the parent's arena was not changed, and its contents are alive.
    let kept = unsafe { std::slice::from_raw_parts(kept, 1 << 20) };
    assert!(kept.iter().all(|&byte| byte == 7));
}

#[test]
fn the_addresses_stay_taken_in_a_forked_child() {
    let Some(dir) = directory() else { return };
    let region = Region::builder().reserve(64 << 20).backing(over(&dir)).build();
    let status = forked(|| {
        // SAFETY: a fresh mapping overlaps nothing; the hint asks for the addresses of the region.
        let mapped = unsafe {
            let hint = region.as_ptr().cast();
            libc::mmap(hint, 4096, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        assert!(!region.contains(mapped.cast()));
    });
    assert_eq!(status, 0);
}

#[test]
fn a_file_that_was_given_starts_at_the_first_byte_and_keeps_its_length() {
    let Some(dir) = directory() else { return };
    let mut file = tempfile::tempfile_in(&dir).unwrap();
    file.write_all(b"the first bytes").unwrap();
    file.set_len(8 << 20).unwrap();
    // SAFETY: nobody else knows of the file.
    let builder = unsafe { Region::builder().reserve(1 << 20).file_backing(file.try_clone().unwrap()) };
    let region = builder.guard(GuardPolicy::default()).build();
    // SAFETY: the head is committed, and nobody else has the region.
    unsafe {
        assert_eq!(std::slice::from_raw_parts(region.as_ptr(), 15), b"the first bytes");
        region.as_ptr().write(b'T');
    }
    drop(region);
    assert_eq!(file.metadata().unwrap().len(), 8 << 20);
    let mut text = [0; 15];
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"The first bytes");
}

fn under_a_limit_on_the_length_of_files() {
    let Some(dir) = directory() else { return };
    limit_file_size(256 << 20);
    let arena = Arena::builder().reserve(1 << 30).backing(over(&dir)).build();
    assert!((64 << 20..256 << 20).contains(&arena.reserved_bytes()));
    arena.alloc_slice_fill_copy(100 << 20, 1u8);
    limit_file_size(1 << 20);
    match Arena::builder().reserve(1 << 30).backing(over(&dir)).try_build() {
        Err(error @ BuildError::Refused { limit: Some(("RLIMIT_FSIZE", ..)), .. }) => {
            assert!(error.to_string().contains("RLIMIT_FSIZE"));
        }
        other => panic!("{other:?}"),
    }
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("length", under_a_limit_on_the_length_of_files)];

#[test]
fn a_limit_on_the_length_of_files_is_a_refusal_and_no_signal() {
    if support::reserves() {
        support::child("length").assert_success();
    }
}
