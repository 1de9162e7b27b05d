//! What the neighbours in a memory cgroup do.
#![cfg(target_os = "linux")]

use super::cgroup_scenes::{MIB, PIECE, dir, exit_on_panic, is_malloc, piece, variable, wait_to_go};
use crate::support;
use highwater::Arena;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::neighbour::READY;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("neighbour that takes", takes),
    ("neighbour that writes", writes),
    ("neighbour that frees", frees),
    ("sibling that frees", sibling_frees),
];

fn stay() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Takes memory at a steady rate, and keeps it.
pub fn takes() {
    let (bytes, rate) = (variable("TAKES") * MIB, variable("RATE") * MIB);
    let start = Pages::map(bytes);
    wait_to_go();
    let began = Instant::now();
    for at in (0..bytes).step_by(PIECE) {
        while (began.elapsed().as_secs_f64() * rate as f64) < at as f64 {
            std::hint::spin_loop();
        }
        start.touch(at, PIECE);
    }
    stay();
}

/// Writes a file over and over again.
pub fn writes() {
    let mut file = std::fs::File::create(dir().join("neighbour")).unwrap();
    let piece = vec![1u8; MIB];
    println!("{READY}");
    loop {
        (0..variable("TAKES")).for_each(|_| file.write_all(&piece).unwrap());
        file.set_len(0).unwrap();
        file.rewind().unwrap();
    }
}

/// Has memory, and gives it back when the cgroup gets full.
pub fn frees() {
    let bytes = variable("TAKES") * MIB;
    let pages = Pages::map(bytes);
    pages.touch(0, bytes);
    println!("{READY}");
    let file = PathBuf::from(std::env::var_os("HIGHWATER_SCENE_USAGE").unwrap());
    // (The rate is where it begins.)
    while std::fs::read_to_string(&file).unwrap().trim().parse::<usize>().unwrap() < variable("RATE") * MIB {
        std::thread::sleep(Duration::from_micros(50));
    }
    drop(pages);
    stay();
}

/// The same by another thread of the process, out of an arena or by `munmap`.
fn sibling_frees() {
    let (bytes, full) = (variable("TAKES") * MIB, variable("RATE") * MIB);
    exit_on_panic();
    let (filled, is_ready) = (&AtomicUsize::new(0), &AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let arena = (!is_malloc()).then(|| Arena::builder().reserve(2 << 30).build());
            let pages = is_malloc().then(|| Pages::map(bytes));
            match (&arena, &pages) {
                (Some(arena), _) => (0..bytes / PIECE).for_each(|_| piece(Some(arena))),
                (_, pages) => pages.as_ref().unwrap().touch(0, bytes),
            }
            is_ready.store(true, SeqCst);
            while bytes + filled.load(SeqCst) < full {
                std::hint::spin_loop();
            }
            drop((arena, pages));
        });
        while !is_ready.load(SeqCst) {
            std::thread::yield_now();
        }
        let arena = (!is_malloc()).then(|| Arena::builder().reserve(2 << 30).build());
        for _ in 0..variable("FILL") * MIB / PIECE {
            piece(arena.as_ref());
            filled.fetch_add(PIECE, SeqCst);
        }
    });
}

struct Pages(*mut u8, usize);

impl Pages {
    fn map(bytes: usize) -> Self {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a range that overlaps nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        Pages(start.cast(), bytes)
    }

    fn touch(&self, at: usize, bytes: usize) {
        assert!(at + bytes <= self.1);
        // SAFETY: within the mapping, which is nobody else's.
        unsafe { self.0.add(at).write_bytes(3, bytes) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, and nothing refers to it.
        unsafe { libc::munmap(self.0.cast(), self.1) };
    }
}
