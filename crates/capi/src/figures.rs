//! Figures of arenas and of the process, the limit of the process, and injected refusals.

#![allow(improper_ctypes_definitions, reason = "C has two words and never looks at them")]

use crate::abi::{HwStats, NONE, Status};
use crate::arena::{self, HwArena};
use crate::engine;
use crate::error::{plain, status};
use core::ffi::{c_char, c_void};
use core::fmt::Write;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use highwater::internal::sys::TextBuffer;
use highwater::oom::{self, Injection};
use highwater::{Monitor, Stats};

/// Fills in as much of the structure as the program has.
///
/// # Safety
/// `to` is null, or a structure with as many bytes as it says.
unsafe fn fill(to: *mut HwStats, stats: Option<Stats>) -> Status {
    let Some(stats) = stats else { return Status::Argument };
    if to.is_null() || !to.is_aligned() {
        return Status::Argument;
    }
    // SAFETY: not null and aligned; every version of the structure begins with its size.
    let size = unsafe { (&raw const (*to).size).read() };
    if size < size_of::<usize>() {
        return Status::Argument;
    }
    let Stats {
        reserved,
        committed,
        peak_committed,
        used,
        faults,
        commits,
        populated,
        growth_ns,
        engine,
        ..
    } = stats;
    let all = HwStats {
        size,
        reserved,
        committed,
        peak_committed,
        used,
        faults,
        commits,
        populated,
        growth_ns,
        engine: engine::number(engine),
        reserved_: 0,
    };
    let bytes = size.min(size_of::<HwStats>());
    // SAFETY: both structures have that many bytes, and do not overlap.
    unsafe { (&raw const all).cast::<u8>().copy_to_nonoverlapping(to.cast(), bytes) };
    Status::Ok
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_stats(arena: *const HwArena, stats: *mut HwStats) -> Status {
    // The region's: the arena's own cursor never moves.
    // SAFETY: `arena` is null or a live arena, `stats` null or a `hw_stats` that can be written: required by the header.
    unsafe { fill(stats, arena::of(arena, None, |arena| Some(arena.arena.region().stats()))) }
}

/// `hw_monitor`: a monitor or none, in two words.
#[repr(C)]
#[derive(Clone, Copy)]
pub union HwMonitor {
    words: [u64; 2],
    monitor: MaybeUninit<Option<Monitor>>,
}

const _: () = assert!(size_of::<Option<Monitor>>() <= 16 && align_of::<Option<Monitor>>() <= 8);

impl HwMonitor {
    fn new(monitor: Option<Monitor>) -> Self {
        // A missing one is all zero.
        let mut to = HwMonitor { words: [0; 2] };
        if monitor.is_some() {
            to.monitor = MaybeUninit::new(monitor);
        }
        to
    }

    fn get(self) -> Option<Monitor> {
        // SAFETY: `new` initialises both words first, and C passes on what it made.
        if unsafe { self.words } == [0; 2] {
            return None;
        }
        // SAFETY: `new` made what is not all zero: the header's contract.
        unsafe { self.monitor.assume_init() }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_monitor(arena: *const HwArena) -> HwMonitor {
    // SAFETY: `arena` is null or a live arena: required by the header.
    HwMonitor::new(unsafe { arena::of(arena, None, |arena| Some(arena.arena.monitor())) })
}

#[unsafe(no_mangle)]
extern "C" fn hw_monitor_of(address: *const c_void) -> HwMonitor {
    plain(|| HwMonitor::new(Monitor::of(address.cast())))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_monitors(monitors: *mut HwMonitor, max: usize) -> usize {
    plain(|| {
        let all = Monitor::all();
        for (at, monitor) in all.iter().take(if monitors.is_null() { 0 } else { max }).enumerate() {
            // SAFETY: `monitors` has room for `max` values, and `at` is below that: required by this function's contract.
            unsafe { monitors.add(at).write(HwMonitor::new(Some(*monitor))) };
        }
        all.len()
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_monitor_is_live(monitor: HwMonitor) -> bool {
    plain(|| monitor.get().is_some_and(|monitor| monitor.is_live()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_monitor_stats(monitor: HwMonitor, stats: *mut HwStats) -> Status {
    // SAFETY: `stats` is null or a `hw_stats` that can be written: required by the header.
    plain(|| unsafe { fill(stats, monitor.get().and_then(|monitor| monitor.stats())) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_monitor_name(monitor: HwMonitor, name: *mut c_char, size: usize) -> usize {
    if name.is_null() || size == 0 {
        return 0;
    }
    plain(|| {
        let mut whole = [0u8; 64];
        let cut = size.min(whole.len());
        let mut text = TextBuffer::new(&mut whole[..cut - 1]);
        let _ = text.write_str(&monitor.get().and_then(|monitor| monitor.name()).unwrap_or_default());
        let len = text.written();
        // SAFETY: `name` has `size` bytes: the header's contract. The text and the zero behind it are `cut` bytes at most.
        unsafe { whole.as_ptr().copy_to_nonoverlapping(name.cast(), len + 1) };
        len
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_set_process_limit(bytes: usize) {
    plain(|| oom::set_process_limit(Some(bytes).filter(|&bytes| bytes != NONE)));
}

#[unsafe(no_mangle)]
extern "C" fn hw_process_limit() -> usize {
    plain(|| oom::process_limit().unwrap_or(NONE))
}

#[unsafe(no_mangle)]
extern "C" fn hw_process_committed() -> usize {
    plain(oom::committed_bytes)
}

#[unsafe(no_mangle)]
extern "C" fn hw_inject(what: u32, n: u64, seed: u64) -> Status {
    let injection = match what {
        0 => None,
        // (They are counted from one, and a rate is out of a million.)
        1 if n == 0 => return Status::Argument,
        4 if n > 1_000_000 => return Status::Argument,
        1 => Some(Injection::nth(n)),
        2 => Some(Injection::after(n)),
        3 => Some(Injection::above(usize::try_from(n).unwrap_or(usize::MAX))),
        4 => Some(Injection::rate(u32::try_from(n).unwrap_or(u32::MAX), seed)),
        _ => return Status::Argument,
    };
    status(null_mut(), || {
        oom::inject(injection);
        Ok(())
    })
}
