//! Buffers for the kernel: it raises no signal when it writes past the frontier, it answers `EFAULT`.
#![cfg(target_os = "linux")]

mod support;

use highwater::{Arena, Region};
use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;

const LEN: usize = 24 << 20;

fn byte(i: usize) -> u8 {
    (i / 7 + i / 4096) as u8
}

/// A file of `LEN` bytes of a pattern.
fn file() -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&(0..LEN).map(byte).collect::<Vec<_>>()).unwrap();
    let mut first = [0; 8];
    file.read_exact_at(&mut first, 4096).unwrap();
    assert_eq!(first[0], byte(4096));
    file
}

/// `pread(2)` as it is: the bytes read or the error number.
fn pread(fd: RawFd, to: &mut [MaybeUninit<u8>], offset: usize) -> Result<usize, i32> {
    // SAFETY: the kernel writes into the slice only, or refuses.
    let read = unsafe { libc::pread(fd, to.as_mut_ptr().cast(), to.len(), offset as libc::off_t) };
    usize::try_from(read).map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap())
}

#[track_caller]
fn is_the_file(buffer: &[MaybeUninit<u8>]) {
    assert_eq!(buffer.len(), LEN);
    // SAFETY: the kernel wrote all of it.
    assert!(buffer.iter().enumerate().all(|(i, value)| unsafe { value.assume_init() } == byte(i)));
}

#[test]
fn read_fills_an_uninitialised_slice() {
    let (file, arena) = (file(), Arena::builder().reserve(1 << 30).build());
    for _ in 0..3 {
        let buffer = arena.alloc_uninit_slice::<u8>(LEN);
        assert_eq!(pread(file.as_raw_fd(), buffer, 0), Ok(LEN));
        is_the_file(buffer);
    }
    let buffer = arena.try_alloc_uninit_slice::<u8>(LEN).unwrap();
    assert_eq!(pread(file.as_raw_fd(), buffer, 0), Ok(LEN));
    is_the_file(buffer);
    assert_eq!(arena.stats().faults, 0, "nothing of this enters the handler");
}

/// A part of a region that nobody touched.
#[expect(clippy::mut_from_ref, reason = "the bytes are raw memory, not the region's own")]
fn untouched(region: &Region, offset: usize) -> &mut [MaybeUninit<u8>] {
    assert!(offset + LEN <= region.reserved_bytes());
    // SAFETY: the range lies in the reservation and no test takes it twice at once; it need not be readable
    // until something is read.
    unsafe { std::slice::from_raw_parts_mut(region.as_ptr().add(offset).cast(), LEN) }
}

#[test]
fn read_fills_a_range_that_was_ensured_and_no_other() {
    if !support::reserves() {
        return;
    }
    let (file, arena) = (file(), Arena::builder().reserve(1 << 30).build());
    let buffer = untouched(arena.region(), 100 << 20);
    assert_eq!(pread(file.as_raw_fd(), buffer, 0), Err(libc::EFAULT), "nobody commits it for the kernel");
    assert!(arena.committed_bytes() < 100 << 20);

    arena.ensure_committed(buffer).unwrap();
    assert_eq!(arena.committed_bytes(), (100 << 20) + LEN);
    assert_eq!(pread(file.as_raw_fd(), buffer, 0), Ok(LEN));
    is_the_file(buffer);

    // Half of it is beyond the frontier now.
    let buffer = untouched(arena.region(), (100 << 20) + LEN / 2);
    arena.ensure_committed(buffer).unwrap();
    assert_eq!(pread(file.as_raw_fd(), buffer, 0), Ok(LEN));
    is_the_file(buffer);
}

#[test]
fn ensure_committed_leaves_other_memory_alone() {
    let arena = Arena::builder().reserve(64 << 20).build();
    let before = arena.stats();
    arena.ensure_committed(&mut [MaybeUninit::uninit(); 4096]).unwrap();
    arena.ensure_committed(&mut []).unwrap();
    assert_eq!(arena.stats(), before);
}

/// `recv(2)` that does not wait: the bytes received or the error number.
fn recv(socket: &UnixDatagram, to: &mut [MaybeUninit<u8>]) -> Result<usize, i32> {
    // SAFETY: the kernel writes into the slice only, or refuses.
    let got = unsafe { libc::recv(socket.as_raw_fd(), to.as_mut_ptr().cast(), to.len(), libc::MSG_DONTWAIT) };
    usize::try_from(got).map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap())
}

#[test]
fn recv_keeps_a_datagram_only_where_memory_is_committed() {
    let (from, to) = UnixDatagram::pair().unwrap();
    let datagram: Vec<u8> = (0..100_000).map(byte).collect();
    let arena = Arena::builder().reserve(256 << 20).build();

    from.send(&datagram).unwrap();
    let buffer = arena.alloc_uninit_slice::<u8>(LEN);
    assert_eq!(recv(&to, buffer), Ok(datagram.len()));
    // SAFETY: the kernel wrote these.
    assert!((0..datagram.len()).all(|i| unsafe { buffer[i].assume_init() } == datagram[i]));

    if !support::reserves() {
        return;
    }
    from.send(&datagram).unwrap();
    let buffer = untouched(arena.region(), 128 << 20);
    assert_eq!(recv(&to, buffer), Err(libc::EFAULT));
    assert_eq!(recv(&to, buffer), Err(libc::EAGAIN), "the datagram is lost");
    arena.ensure_committed(buffer).unwrap();
    from.send(&datagram).unwrap();
    assert_eq!(recv(&to, buffer), Ok(datagram.len()));
}
