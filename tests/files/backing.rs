//! Regions over files: of our own, and of somebody who promises to leave theirs alone.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Backing, Growth, Region};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use support::files::directory;
use support::raw::{self, get, page, put};

const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("forked", forked), ("a temporary file", a_temporary_file)];

fn over(dir: &Path) -> highwater::Builder<Region> {
    Region::builder().name("filed").reserve(1 << 30).backing(Backing::Temp(dir.to_owned()))
}

/// The descriptor of the file that this process has open in `dir`.
fn descriptor(dir: &Path) -> RawFd {
    let dir = std::fs::canonicalize(dir).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let to = std::fs::read_link(&path).ok()?;
        to.starts_with(&dir).then(|| path.file_name()?.to_str()?.parse::<RawFd>().ok()).flatten()
    });
    let open: Vec<RawFd> = open.collect();
    assert_eq!(open.len(), 1, "one file in {dir:?}");
    open[0]
}

/// The figures of an open file.
fn metadata(fd: RawFd) -> std::fs::Metadata {
    // SAFETY: the descriptor is the region's, which outlives this, and it is not closed here.
    std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(fd) }).metadata().unwrap()
}

fn blocks(fd: RawFd) -> usize {
    metadata(fd).blocks() as usize * 512
}

#[test]
fn a_temporary_file_is_nobody_elses() {
    if directory().is_some() {
        support::child("a temporary file").assert_success();
    }
}

/// Alone in a child: another thread could be given the number of the descriptor that is closed.
fn a_temporary_file() {
    let dir = directory().expect("the parent has made one");
    let region = over(dir.path()).build();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it has no name");
    let fd = descriptor(dir.path());
    let facts = metadata(fd);
    assert_eq!((facts.mode() & 0o7777, facts.nlink()), (0o600, 0));
    // SAFETY: asking for flags changes nothing.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) } & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    assert!(facts.size() >= region.reserved_bytes() as u64);
    assert!(blocks(fd) <= MIB, "sparse: {} bytes of blocks", blocks(fd));

    region.ensure(8 * MIB).unwrap();
    assert!(blocks(fd) >= 8 * MIB, "growing gives the file its blocks before anything is written");
    drop(region);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) }, -1, "and it is closed with the region");
}

#[test]
fn contents_survive_growth_by_touch_and_by_call() {
    let Some(dir) = directory() else { return };
    let arena: Arena = Arena::builder()
        .reserve(1 << 30)
        .growth(Growth::Fixed(64 << 10))
        .backing(Backing::Temp(dir.path().to_owned()))
        .build();
    let blocks: Vec<&mut [u64]> =
        (0..600).map(|i| arena.alloc_slice_fill_with(5_000, |at| (i * 5_000 + at) as u64)).collect();
    let numbers = blocks.iter().flat_map(|block| block.iter());
    assert!(numbers.enumerate().all(|(i, &number)| number == i as u64));
    let stats = arena.stats();
    assert!(stats.commits > 300, "{stats:?}");
    assert_eq!(stats.faults > 300, highwater::engine() == highwater::Engine::Fault);
}

#[test]
fn trim_punches_holes_that_read_as_zero() {
    let Some(dir) = directory() else { return };
    let mut arena: Arena =
        Arena::builder().reserve(1 << 30).backing(Backing::Temp(dir.path().to_owned())).build();
    let fd = descriptor(dir.path());
    for keep in [MIB, 0, 3 * MIB] {
        arena.alloc_slice_fill_copy(16 * MIB, 0xffu8);
        assert!(blocks(fd) >= 16 * MIB);
        arena.reset();
        assert!(arena.trim(keep) >= 16 * MIB - keep);
        assert_eq!(arena.committed_bytes(), keep);
        assert!(blocks(fd) <= keep + MIB, "{} bytes of blocks are left", blocks(fd));
        let bytes = arena.alloc_uninit_slice::<u8>(16 * MIB);
        // SAFETY: committed memory is initialised.
        assert!(bytes[keep..].iter().all(|byte| unsafe { byte.assume_init() } == 0));
        // SAFETY: as above.
        assert!(bytes[..keep].iter().all(|byte| unsafe { byte.assume_init() } == 0xff));
        arena.reset();
    }
}

#[test]
fn portable_memory_has_no_files_and_says_so() {
    if cfg!(highwater_portable) {
        let error = over(&std::env::temp_dir()).try_build().unwrap_err();
        assert!(error.to_string().contains("backing file"), "{error}");
    }
}

#[test]
fn a_missing_directory_is_named() {
    if !support::reserves() {
        return;
    }
    let missing = PathBuf::from("/nonexistent/highwater");
    let error = Region::builder().backing(Backing::Temp(missing)).try_build().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/nonexistent/highwater") && text.contains("os error 2"), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_given_file_is_there_from_the_first_byte_on_and_afterwards() {
    let Some(dir) = directory() else { return };
    let mut file = tempfile::tempfile_in(dir.path()).unwrap();
    file.write_all(&(0..200_000usize).map(|i| (i / 3) as u8).collect::<Vec<_>>()).unwrap();
    // SAFETY: nobody else has the file.
    let builder = unsafe { Region::builder().reserve(64 * MIB).file_backing(file.try_clone().unwrap()) };
    let region = builder.build();
    region.ensure(9 * MIB).unwrap();
    assert!((0..200_000).all(|i| get(&region, i) == (i / 3) as u8));
    assert_eq!(get(&region, 200_000), 0);
    put(&region, 0, 200);
    put(&region, 123_456, 201);
    put(&region, 9 * MIB - 1, 202);
    drop(region);

    let mut bytes = vec![0; 9 * MIB];
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    assert_eq!((bytes[0], bytes[1], bytes[123_456], bytes[9 * MIB - 1]), (200, 0, 201, 202));
    assert!((1..123_456).all(|i| bytes[i] == (i / 3) as u8));

    // SAFETY: as above.
    let again = unsafe { Region::builder().reserve(64 * MIB).file_backing(file) }.build();
    again.ensure(9 * MIB).unwrap();
    assert_eq!((get(&again, 0), get(&again, 9 * MIB - 1)), (200, 202));
}

#[test]
fn a_forked_child_cannot_damage_the_contents() {
    if support::reserves() {
        support::child("forked").assert_success();
    }
}

fn forked() {
    let Some(dir) = directory() else { return };
    let builder = Arena::builder().reserve(1 << 30).backing(Backing::Temp(dir.path().to_owned()));
    let mut slot: Option<Arena> = Some(builder.build());
    let arena = slot.as_mut().unwrap();
    let filled: *mut [u8] = arena.alloc_slice_fill_copy(4 * MIB, 7u8);
    let first = filled.cast::<u8>();
    let committed = arena.committed_bytes();
    let is_whole = || {
        // SAFETY: the block lives as long as the arena, and only children write to it, in vain.
        unsafe { &*filled }.iter().all(|&byte| byte == 7)
    };

    for far in [0, committed, 512 * MIB] {
        // SAFETY: the address lies in the reservation, which the child does not have.
        let status = raw::forked(|| unsafe { first.add(far).write_volatile(1) });
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV, "{far}: {status:x}");
    }
    assert!(is_whole());

    // Each of these is harmless, whatever it answers.
    let status = raw::forked(|| {
        let arena = slot.as_mut().unwrap();
        assert!(arena.try_alloc_uninit_slice::<u8>(64 * MIB).is_err(), "there is nothing to commit");
        arena.reset();
        assert_eq!(arena.trim(0), 0, "there is nothing to give back");
        slot.take();
        // The range may be mapped again, and it is ours no more.
        let other = Arena::builder().reserve(1 << 30).build();
        assert_eq!(other.alloc_slice_fill_copy(8 * MIB, 1u8).len(), 8 * MIB);
    });
    assert_eq!(status, 0, "{status:x}");
    assert!(is_whole());

    let arena = slot.as_mut().unwrap();
    assert_eq!(arena.committed_bytes(), committed);
    assert!(arena.alloc_slice_fill_copy(4 * MIB, 8u8).iter().all(|&byte| byte == 8));
    assert!(is_whole());
    assert_eq!(arena.allocated_bytes() % page(), 0);
}
