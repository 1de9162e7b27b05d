//! Buffers for the kernel: it raises no signal when it writes past the frontier, it answers `EFAULT`.
#![cfg(target_os = "linux")]

use crate::support;
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

/// A buffer of 256 bytes of which 100 are committed: the end of the first page but for that.
fn half_committed(region: &Region) -> *mut u8 {
    let start = region.as_ptr().wrapping_add(support::raw::page() - 100);
    assert_eq!(region.committed_bytes(), support::raw::page());
    assert_eq!(highwater::committed_of(start, 256), 100);
    start
}

/// What a call answered, or the error number.
fn answer(result: isize) -> Result<usize, i32> {
    usize::try_from(result).map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap())
}

/// What docs/c.md has a table of: a call that begins before the frontier and ends past it.
#[test]
fn a_buffer_that_ends_past_the_frontier_is_a_short_count() {
    if !support::reserves() {
        return;
    }
    let file = file();
    let fd = file.as_raw_fd();
    let region = Region::builder().reserve(1 << 20).head(1).build();
    let half = half_committed(&region);
    let past = region.as_ptr().wrapping_add(support::raw::page());
    let several = |buffers: &[(*mut u8, usize)]| {
        let vectors: Vec<libc::iovec> =
            buffers.iter().map(|&(base, len)| libc::iovec { iov_base: base.cast(), iov_len: len }).collect();
        // SAFETY: the kernel writes to this region only, or refuses; here and below.
        answer(unsafe { libc::preadv(fd, vectors.as_ptr(), vectors.len() as i32, 0) })
    };
    // SAFETY: as above.
    unsafe {
        assert_eq!(answer(libc::pread(fd, half.cast(), 256, 0)), Ok(100));
        assert_eq!(answer(libc::pread(fd, past.cast(), 256, 0)), Err(libc::EFAULT));
        assert_eq!(libc::lseek(fd, 0, libc::SEEK_SET), 0);
        assert_eq!(answer(libc::read(fd, half.cast(), 256)), Ok(100));
        assert_eq!(libc::lseek(fd, 0, libc::SEEK_CUR), 100, "and the file is where that ends");
        assert_eq!(several(&[(region.as_ptr(), 50), (past, 50)]), Ok(50));
        assert_eq!(several(&[(region.as_ptr(), 50), (half, 256)]), Ok(150));
        assert_eq!(several(&[(past, 50), (region.as_ptr(), 50)]), Err(libc::EFAULT));
        match answer(libc::getrandom(half.cast(), 256, 0)) {
            // (Older kernels answer with the error.)
            Ok(filled) => assert_eq!(filled, 100),
            Err(error) => assert_eq!(error, libc::EFAULT),
        }
        // What comes out of a pipe stays in it.
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&[7; 256]).unwrap();
        let _ = answer(libc::read(reader.as_raw_fd(), half.cast(), 256));
        region.ensure(1 << 16).unwrap();
        assert_eq!(answer(libc::pread(fd, half.cast(), 256, 0)), Ok(256));
        drop(writer);
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut rest).unwrap();
        assert!(rest.len() == 256 || rest.len() == 156, "{}", rest.len());
    }
    assert_eq!(region.stats().faults, 0, "nothing of this enters the handler");
}

/// `IORING_OP_READ` of a buffer, through a ring of one entry: what it answered; `None` where there is no io_uring.
fn read_by_ring(fd: RawFd, to: *mut u8, len: usize) -> Option<i32> {
    const ENTRIES: usize = 1;
    const OP_READ: u8 = 22;
    const GETEVENTS: u32 = 1;
    const OFFSET_ENTRIES: libc::off_t = 0x1000_0000;
    // `struct io_uring_params`: ten words, then the offsets of the two rings, ten words each.
    let mut parameters = [0u32; 30];
    // SAFETY: the structure has 120 bytes, the mappings are as long as the offsets say, and only the buffer is written to.
    unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, ENTRIES, parameters.as_mut_ptr()) as RawFd;
        if ring < 0 {
            return None;
        }
        let map = |len: usize, offset: libc::off_t| {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let mapped = libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, ring, offset);
            assert_ne!(mapped, libc::MAP_FAILED);
            mapped.cast::<u8>()
        };
        // (One mapping has both rings, since Linux 5.4.)
        let (submitted, completed) = (&parameters[10..20], &parameters[20..30]);
        let rings = map(support::raw::page(), 0);
        let entry = map(64 * ENTRIES, OFFSET_ENTRIES);
        entry.write(OP_READ);
        entry.add(4).cast::<i32>().write(fd);
        entry.add(16).cast::<u64>().write(to.expose_provenance() as u64);
        entry.add(24).cast::<u32>().write(len as u32);
        rings.add(submitted[6] as usize).cast::<u32>().write(0); // the array: entry 0
        rings.add(submitted[1] as usize).cast::<u32>().write_volatile(1); // the tail
        let none = std::ptr::null::<libc::c_void>();
        assert_eq!(libc::syscall(libc::SYS_io_uring_enter, ring, 1, 1, GETEVENTS, none, 0), 1);
        // `struct io_uring_cqe`: the answer is behind the 8 bytes of user data.
        let answer = rings.add(completed[5] as usize + 8).cast::<i32>().read_volatile();
        libc::close(ring);
        Some(answer)
    }
}

#[test]
fn a_ring_cuts_a_read_short_as_well() {
    if !support::reserves() {
        return;
    }
    let file = file();
    let region = Region::builder().reserve(1 << 20).head(1).build();
    let half = half_committed(&region);
    match read_by_ring(file.as_raw_fd(), half, 256) {
        None => support::skip("io_uring is not allowed here"),
        Some(answer) => assert_eq!(answer, 100),
    }
    let past = region.as_ptr().wrapping_add(support::raw::page());
    if let Some(answer) = read_by_ring(file.as_raw_fd(), past, 256) {
        assert_eq!(answer, -libc::EFAULT);
    }
}

#[test]
fn what_the_kernel_may_be_given() {
    let local = [0u8; 64];
    assert_eq!(highwater::committed_of(local.as_ptr(), 64), 64);
    if !support::reserves() {
        return;
    }
    let page = support::raw::page();
    let mut region = Region::builder().reserve(16 * page).head(8 * page).build();
    let at = |offset: usize| region.as_ptr().wrapping_add(offset);
    assert_eq!(highwater::committed_of(at(0), 16 * page), 8 * page);
    assert_eq!(highwater::committed_of(at(8 * page), 1), 0);
    assert_eq!(highwater::committed_of(at(8 * page - 1), 2), 1);
    assert_eq!(highwater::committed_of(at(0).wrapping_sub(1), 2), 0, "the guard before it");
    // SAFETY: nobody uses the region.
    unsafe { region.guard_at(2 * page..3 * page).unwrap() };
    let at = |offset: usize| region.as_ptr().wrapping_add(offset);
    assert_eq!(highwater::committed_of(at(page), 8 * page), page);
    assert_eq!(highwater::committed_of(at(2 * page), 8), 0);
    assert_eq!(highwater::committed_of(at(3 * page), 8), 8);
    let arena = Arena::builder().checked().build();
    assert_eq!(highwater::committed_of(arena.alloc([0u8; 77]).as_ptr(), 77), 77);
    drop(region);
}
