//! Sampled guards: every so manieth block has a page of its own between two that nobody may touch, and when it is freed
//! the page is one of those for as long as there are others. So an overflow, and a use after free, is a fault, which is
//! named here and then ends the process as it would have without us.
//!
//! The idea is that of GWP-ASan and of Electric Fence before it. Blocks end where their page does, but for what their
//! alignment leaves; that is filled, and looked at when the block is freed.

use crate::wrong;
use core::ffi::{c_int, c_void};
use core::fmt;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use highwater::internal::sys::SpinLock;
use highwater::internal::sys::{abort_with, write_line};

/// How many blocks have pages of their own at a time.
const PLACES: usize = 1024;
/// What is left of a page is filled with it.
const FILL: u8 = 0xC5;

/// The pages, and who has which.
pub(crate) struct Pool {
    start: NonNull<u8>,
    page: usize,
    /// Every so manieth block.
    every: u32,
    calls: AtomicU32,
    /// Which were free for how long: a ring, used in turn.
    pub(crate) ring: SpinLock<Ring>,
}

pub(crate) struct Ring {
    free: [u16; PLACES],
    first: usize,
    count: usize,
}

impl Ring {
    fn take(&mut self) -> Option<usize> {
        let place = *self.free.get(self.first).filter(|_| self.count > 0)?;
        self.first = (self.first + 1) % PLACES;
        self.count -= 1;
        Some(usize::from(place))
    }

    fn put(&mut self, place: usize) {
        let last = (self.first + self.count) % PLACES;
        if let Some(free) = self.free.get_mut(last) {
            *free = place as u16;
            self.count += 1;
        }
    }
}

// SAFETY: the pointer leads to pages, each of which belongs to whoever has its block.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

/// What is known of a place. Read inside the signal, so it is of atomics, and beside the pool.
struct Place {
    /// The block's address; 0 if there never was one.
    block: AtomicUsize,
    size: AtomicUsize,
    is_live: AtomicBool,
    /// The thread that freed it last.
    freed_by: AtomicU64,
}

static PLACE: [Place; PLACES] = [const {
    Place {
        block: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        is_live: AtomicBool::new(false),
        freed_by: AtomicU64::new(0),
    }
}; PLACES];

/// The pool's range, for the handler.
static RANGE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

impl Pool {
    /// Pages for every so manieth block; `None` if there is no address space for them.
    pub(crate) fn new(every: u32) -> Option<Self> {
        let page = crate::calls::page_size();
        let len = (2 * PLACES + 1) * page;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping.
        let start = unsafe { libc::mmap(null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        RANGE[0].store(start.addr(), Relaxed);
        RANGE[1].store(start.addr() + len, Relaxed);
        Some(Pool {
            start: NonNull::new(start.cast())?,
            page,
            every,
            calls: AtomicU32::new(0),
            ring: SpinLock::new(Ring {
                free: core::array::from_fn(|index| index as u16),
                first: 0,
                count: PLACES,
            }),
        })
    }

    pub(crate) fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.start.addr().get()) < (2 * PLACES + 1) * self.page
    }

    /// A place's page: the odd ones, between two that stay as they are.
    fn page_of(&self, place: usize) -> NonNull<u8> {
        // SAFETY: within the pool.
        unsafe { self.start.add((2 * place + 1) * self.page) }
    }

    /// A block of zeros in a page of its own, if it is its turn and there is one.
    pub(crate) fn place(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if size > self.page
            || align > self.page
            || !self.calls.fetch_add(1, Relaxed).is_multiple_of(self.every)
        {
            return None;
        }
        let place = self.ring.lock().take()?;
        let page = self.page_of(place);
        // SAFETY: the page is this call's alone.
        if unsafe { libc::mprotect(page.as_ptr().cast(), self.page, libc::PROT_READ | libc::PROT_WRITE) } != 0
        {
            self.ring.lock().put(place);
            return None;
        }
        let at = (self.page - size) & !(align - 1);
        let known = &PLACE[place];
        // SAFETY: within the page.
        let block = unsafe {
            let block = page.add(at);
            block.add(size).write_bytes(FILL, self.page - at - size);
            block
        };
        known.size.store(size, Relaxed);
        known.block.store(block.addr().get(), Relaxed);
        known.is_live.store(true, Release);
        Some(block)
    }

    /// The place of a block that is live; anything else ends the process.
    fn find(&self, block: NonNull<u8>) -> (usize, &'static Place) {
        let address = block.addr().get();
        let index = (address - self.start.addr().get()) / self.page;
        let place = index / 2;
        let Some(known) = PLACE.get(place).filter(|_| index % 2 == 1) else {
            abort_with(format_args!("invalid pointer: {address:#x} is in a guard"));
        };
        let start = known.block.load(Relaxed);
        if start != address {
            abort_with(format_args!(
                "interior pointer: {address:#x} is {} bytes from the start of the block at {start:#x}",
                address.wrapping_sub(start).cast_signed()
            ));
        }
        (place, known)
    }

    pub(crate) fn size(&self, block: NonNull<u8>) -> usize {
        let (_, known) = self.find(block);
        if !known.is_live.load(Acquire) {
            abort_with(format_args!("use after free: the block at {block:p} is free"));
        }
        known.size.load(Relaxed)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// As for `free`.
    pub(crate) unsafe fn take(&self, block: NonNull<u8>) {
        let (place, known) = self.find(block);
        // SAFETY: asks for a number.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        if !known.is_live.swap(false, Acquire) {
            abort_with(format_args!("double free: the block at {block:p} is free"));
        }
        known.freed_by.store(thread.cast_unsigned(), Relaxed);
        let size = known.size.load(Relaxed);
        let page = self.page_of(place);
        // SAFETY: the page is the block's, which is this call's now.
        unsafe {
            let end = page.add(self.page).addr().get();
            let behind =
                core::slice::from_raw_parts(block.add(size).as_ptr(), end - block.addr().get() - size);
            if let Some(at) = behind.iter().position(|byte| *byte != FILL) {
                wrong::overflow(block, Some((size, at)));
            }
            if libc::madvise(page.as_ptr().cast(), self.page, libc::MADV_DONTNEED) != 0 {
                page.write_bytes(0, self.page);
            }
            libc::mprotect(page.as_ptr().cast(), self.page, libc::PROT_NONE);
        }
        self.ring.lock().put(place);
    }
}

/// What the handler found before us.
// SAFETY: numbers, and a function that there may be none of.
static mut PREVIOUS: libc::sigaction = unsafe { core::mem::zeroed() };

/// Names the faults in the pool. A program that has a handler of its own for SIGSEGV, set later, is left with it.
pub(crate) fn install() {
    // SAFETY: a handler with these flags, which keeps to what is allowed in one; the old one is kept before it can run.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, core::ptr::null(), &raw mut PREVIOUS);
        libc::sigaction(libc::SIGSEGV, &raw const action, null_mut());
    }
}

/// Says what a fault in the pool is, and lets the instruction fault again under whoever was there before.
extern "C" fn on_fault(_signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel's.
    let (address, code) = unsafe { ((*info).si_addr().addr(), (*info).si_code) };
    let [start, end] = [RANGE[0].load(Relaxed), RANGE[1].load(Relaxed)];
    if code > 0 && (start..end).contains(&address) {
        write_line(format_args!("{}", Fault { address, start, page: (end - start) / (2 * PLACES + 1) }));
    }
    // SAFETY: puts back what was there.
    unsafe {
        libc::sigaction(libc::SIGSEGV, &raw const PREVIOUS, null_mut());
        if code <= 0 {
            // Sent by somebody: it does not come again by itself.
            libc::raise(libc::SIGSEGV);
        }
    }
}

/// A fault in the pool, as a line.
struct Fault {
    address: usize,
    start: usize,
    page: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { address, start, page } = *self;
        let index = (address - start) / page;
        let known = |place: usize| PLACE.get(place).filter(|known| known.block.load(Relaxed) != 0);
        if index % 2 == 1 {
            let Some(known) = known(index / 2) else { return write!(f, "invalid access at {address:#x}") };
            let (block, size) = (known.block.load(Relaxed), known.size.load(Relaxed));
            let at = address.wrapping_sub(block).cast_signed();
            return write!(
                f,
                "use after free: access at {address:#x}, {at} bytes from the start of the block of {size} bytes at \
                 {block:#x}, which thread {} freed",
                known.freed_by.load(Relaxed)
            );
        }
        // In a guard: of the block before it, or of the one behind.
        let before = index.checked_sub(2).and_then(|index| known(index / 2));
        let behind = known(index / 2);
        let distance = |known: &Place| {
            let (block, size) = (known.block.load(Relaxed), known.size.load(Relaxed));
            (block, size, if address < block { block - address } else { address - (block + size) })
        };
        let is_nearer = |a: &Place, b: &Place| distance(a).2 <= distance(b).2;
        match (before, behind) {
            (Some(known), other) if other.is_none_or(|other| is_nearer(known, other)) => {
                let (block, size, at) = distance(known);
                write!(
                    f,
                    "heap overflow: access at {address:#x}, {at} bytes past the end of the block of {size} bytes at {block:#x}"
                )
            }
            (_, Some(known)) => {
                let (block, size, at) = distance(known);
                write!(
                    f,
                    "heap underflow: access at {address:#x}, {at} bytes before the block of {size} bytes at {block:#x}"
                )
            }
            _ => write!(f, "invalid access at {address:#x}"),
        }
    }
}
