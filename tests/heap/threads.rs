//! Several threads, forks, and the kernel as a reader and writer of blocks.

use crate::support;
use highwater::heap::{Blocks, Bump, Fit, General, Heap, HeapPolicy, Stack};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;

fn kinds() -> [HeapPolicy; 5] {
    [
        General::new().into(),
        Blocks::new().into(),
        Blocks::new().fit(Fit::First).margin(0).into(),
        Stack::new().into(),
        Bump::new().slice(64 << 10).into(),
    ]
}

/// A block that says whose it is, in every byte.
struct Tagged {
    block: NonNull<u8>,
    len: usize,
    tag: u8,
}

// SAFETY: a block belongs to whoever has this.
unsafe impl Send for Tagged {}

impl Tagged {
    fn new(heap: &Heap, len: usize, tag: u8) -> Self {
        let block = heap.allocate(len, 16).unwrap();
        // SAFETY: the block is as long.
        unsafe { block.write_bytes(tag, len) };
        Tagged { block, len, tag }
    }

    fn verify(&self, len: usize) {
        // SAFETY: the block lives, and was filled.
        let bytes = unsafe { std::slice::from_raw_parts(self.block.as_ptr(), len) };
        assert!(bytes.iter().all(|&byte| byte == self.tag), "somebody else wrote to {:p}", self.block);
    }

    fn resize(self, heap: &Heap, len: usize) -> Self {
        // SAFETY: nobody else has it.
        let block = unsafe { heap.reallocate(self.block, len, 16) }.unwrap();
        let moved = Tagged { block, len, tag: self.tag };
        moved.verify(len.min(self.len));
        // SAFETY: the block is as long.
        unsafe { block.write_bytes(self.tag, len) };
        moved
    }

    fn free(self, heap: &Heap) {
        self.verify(self.len);
        // SAFETY: nobody else has it.
        unsafe { heap.deallocate(self.block) }.unwrap();
    }
}

#[test]
fn eight_threads_hand_their_blocks_on() {
    for kind in kinds() {
        let heap = &Heap::builder().reserve(1 << 30).policy(kind).build();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..8).map(|_| mpsc::channel::<Tagged>()).unzip();
        std::thread::scope(|threads| {
            for (number, inbox) in receivers.into_iter().enumerate() {
                let next = senders[(number + 1) % 8].clone();
                threads.spawn(move || {
                    let mut seed = number as u64 + 1;
                    let mut own = Vec::new();
                    for step in 0..2_000usize {
                        seed ^= seed << 13;
                        seed ^= seed >> 7;
                        seed ^= seed << 17;
                        let size = 1 + seed as usize % if step % 50 == 0 { 100_000 } else { 600 };
                        let block = Tagged::new(heap, size, (number * 31 + step) as u8);
                        match seed % 4 {
                            0 => next.send(block).expect("it has not left"),
                            1 => own.push(block),
                            2 => own.push(block.resize(heap, 1 + size * 2 / 3)),
                            _ => block.free(heap),
                        }
                        if own.len() > 50 {
                            own.swap_remove(seed as usize % 50).free(heap);
                        }
                        inbox.try_iter().for_each(|block| block.free(heap));
                    }
                    drop(next);
                    own.into_iter().for_each(|block| block.free(heap));
                    inbox.iter().for_each(|block| block.free(heap));
                });
            }
            drop(senders);
        });
        heap.check().unwrap();
        let stats = heap.stats();
        assert_eq!((stats.live_blocks, stats.live_bytes), (0, 0), "{kind:?}");
        // (What threads hold is in no run.)
        if kind != HeapPolicy::default() {
            assert_eq!(stats.largest_free_run, stats.free_bytes, "{kind:?}");
        }
    }
}

#[test]
fn the_kernel_reads_into_fresh_blocks() {
    for kind in kinds() {
        let heap = Heap::builder().reserve(64 << 20).head(0).policy(kind).build();
        for size in [1, 100, 4096, 60_000, 5_000_000] {
            let block = heap.allocate(size, 16).unwrap();
            // SAFETY: the block lives.
            let usable = unsafe { heap.usable_size(block) }.unwrap();
            let (mut read, mut write) = std::io::pipe().unwrap();
            // Its very last bytes, which nobody has touched.
            let tail = usable.min(16);
            write.write_all(&[9; 16][..tail]).unwrap();
            let at = block.as_ptr().wrapping_add(usable - tail);
            // SAFETY: the bytes are the block's.
            let got = unsafe { libc::read(read.as_raw_fd(), at.cast(), tail) };
            assert_eq!(got, tail as isize, "{kind:?}, {size}: {}", std::io::Error::last_os_error());
            // SAFETY: they were just written.
            assert_eq!(unsafe { at.read() }, 9);
            drop(write);
            assert_eq!(read.read(&mut [0]).unwrap(), 0);
        }
    }
}

/// SIGSEGV belongs to somebody else, and stays with them.
fn nobody_takes_sigsegv() {
    let action = || {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only the present action is asked for.
        unsafe { libc::sigaction(libc::SIGSEGV, std::ptr::null(), action.as_mut_ptr()) };
        // SAFETY: it was filled in, or is zero.
        unsafe { action.assume_init() }.sa_sigaction
    };
    let before = action();
    for kind in kinds() {
        let heap = Heap::builder().reserve(1 << 30).policy(kind).build();
        let block = Tagged::new(&heap, 20 << 20, 1);
        block.free(&heap);
        assert_eq!(action(), before);
        assert_eq!(heap.stats().region.faults, 0);
    }
}

#[test]
fn sigsegv_is_left_alone() {
    support::child("sigsegv").assert_success();
}

/// Forks again and again while other threads allocate; every child allocates at once.
fn forks_with_threads() {
    for kind in kinds() {
        let heap = &Heap::builder().reserve(1 << 30).policy(kind).build();
        let is_over = &AtomicBool::new(false);
        std::thread::scope(|threads| {
            for number in 0..3 {
                threads.spawn(move || {
                    while !is_over.load(Relaxed) {
                        let blocks = [10, 300, 9000].map(|len| Tagged::new(heap, len, number));
                        blocks.into_iter().for_each(|block| block.free(heap));
                    }
                });
            }
            for _ in 0..40 {
                heap.before_fork();
                // SAFETY: the child makes calls to the heap and system calls only.
                let child = unsafe { libc::fork() };
                // SAFETY: `before_fork` was called above.
                unsafe { heap.after_fork(child == 0) };
                if child == 0 {
                    let block = Tagged::new(heap, 5000, 7);
                    let grown = block.resize(heap, 200_000);
                    grown.free(heap);
                    let is_whole = heap.check().is_ok();
                    // SAFETY: nothing of the parent's is run.
                    unsafe { libc::_exit(if is_whole { 42 } else { 43 }) };
                }
                let mut status = 0;
                // SAFETY: the child is ours.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(libc::WEXITSTATUS(status), 42, "{kind:?}: {status:#x}");
            }
            is_over.store(true, Relaxed);
        });
        heap.check().unwrap();
        assert_eq!(heap.stats().live_blocks, 0);
    }
}

#[test]
fn a_child_allocates_at_once() {
    support::child("forks").assert_success();
}

/// What is around a fork may be called by several who know nothing of each other, and by one who then does not fork.
fn forks_told_twice() {
    for kind in kinds() {
        let heap = &Heap::builder().reserve(1 << 30).policy(kind).build();
        let other_allocates = || {
            std::thread::scope(|threads| {
                threads.spawn(|| Tagged::new(heap, 100, 1).free(heap));
            });
        };
        other_allocates();
        heap.before_fork();
        heap.before_fork();
        Tagged::new(heap, 100, 2).free(heap);
        // SAFETY: the child makes calls to the heap, starts a thread, and ends.
        let child = unsafe { libc::fork() };
        // (The child says that it is none.)
        // SAFETY: `before_fork` was called above.
        unsafe { heap.after_fork(false) };
        other_allocates();
        // SAFETY: as above.
        unsafe { heap.after_fork(child == 0) };
        other_allocates();
        if child == 0 {
            // SAFETY: nothing of the parent's is run.
            unsafe { libc::_exit(if heap.check().is_ok() { 42 } else { 43 }) };
        }
        let mut status = 0;
        // SAFETY: the child is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(libc::WEXITSTATUS(status), 42, "{kind:?}: {status:#x}");
        if support::reserves() {
            std::thread::scope(|threads| {
                threads.spawn(|| heap.before_fork());
            });
            other_allocates();
        }
        heap.check().unwrap();
    }
}

#[test]
fn a_fork_that_is_told_of_twice_is_one() {
    support::child("told twice").assert_success();
}

/// What runs in child processes.
pub const CASES: &[support::Case] =
    &[("forks", forks_with_threads), ("sigsegv", nobody_takes_sigsegv), ("told twice", forks_told_twice)];
