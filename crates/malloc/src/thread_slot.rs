//! Where a thread keeps its thread heap: three words of thread-local storage at a fixed distance from the thread pointer
//! (initial-exec). A `thread_local!` of a shared library is a call of `__tls_get_addr`, which may allocate.

use core::arch::{asm, global_asm};
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicU32};
use highwater::internal::heap::{ThreadHeap, ThreadSlot};

// The first word is what the fast paths use: the thread's heap, or null where every call is checked. The second
// is the same in any case. The third is above every size that the first serves directly, and 0 where that is null:
// so one compare tells an allocation both.
global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".p2align 4",
    ".globl highwater_malloc_slot",
    ".hidden highwater_malloc_slot",
    ".type highwater_malloc_slot, @object",
    ".size highwater_malloc_slot, 24",
    "highwater_malloc_slot:",
    ".zero 24",
    ".popsection",
);

#[repr(C)]
struct TlsWords {
    fast: *mut ThreadHeap,
    local: *mut ThreadHeap,
    direct_limit: usize,
}

/// How far the words are from the thread pointer: the same in every thread.
#[inline(always)]
fn distance() -> usize {
    let distance: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: loads an entry of the global offset table, which the loader wrote and nothing changes.
    unsafe {
        asm!(
            "mov {}, qword ptr [rip + highwater_malloc_slot@GOTTPOFF]",
            out(reg) distance,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: loads an entry of the global offset table, which the loader wrote and nothing changes.
    unsafe {
        asm!(
            "adrp {0}, :gottprel:highwater_malloc_slot",
            "ldr {0}, [{0}, :gottprel_lo12:highwater_malloc_slot]",
            out(reg) distance,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    distance
}

/// The thread pointer.
#[inline(always)]
fn thread_pointer() -> usize {
    let pointer: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the first word that fs leads to is its own address, which does not change while the thread lives.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads a register, which does not change while the thread lives.
    unsafe {
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
    }
    pointer
}

/// The calling thread's words.
fn words() -> *mut TlsWords {
    core::ptr::with_exposed_provenance_mut(thread_pointer().wrapping_add(distance()))
}

/// The slot in thread-local storage, for the one heap of the process.
pub(crate) struct TlsSlot;

/// Whether every call is checked: then the fast paths find nothing.
static CHECKS_CALLS: AtomicBool = AtomicBool::new(false);

/// No key: the heap of a thread that ended is found later, by the thread's number.
const NO_KEY: u32 = u32::MAX;
/// The key of the thread-specific data whose destructor runs when a thread ends.
static KEY: AtomicU32 = AtomicU32::new(NO_KEY);

impl TlsSlot {
    /// Before any thread has a thread heap: whether every call is checked, and what is called when a thread ends that
    /// has a thread heap.
    pub(crate) fn prepare(checks_calls: bool, thread_ended: unsafe extern "C" fn(*mut core::ffi::c_void)) {
        CHECKS_CALLS.store(checks_calls, Relaxed);
        let mut key = 0;
        // SAFETY: writes the key. The function may be called as long as the process lives: the library is never unloaded.
        if unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ended)) } == 0 {
            KEY.store(key, Relaxed);
        }
    }

    /// Sizes below this the calling thread may have blocks of at hand, and then it has a thread heap.
    #[inline(always)]
    pub(crate) fn direct_limit() -> usize {
        let limit: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads the calling thread's third word.
        unsafe {
            asm!(
                "mov {}, qword ptr fs:[{} + 16]",
                out(reg) limit,
                in(reg) distance(),
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: reads the calling thread's third word.
        unsafe {
            limit = (&raw const (*words()).direct_limit).read();
        }
        limit
    }
}

// SAFETY: the words belong to the calling thread and are used for the one heap of the process; their address is the key,
// which no other living thread has.
unsafe impl ThreadSlot for TlsSlot {
    #[inline(always)]
    fn get(_heap: u64) -> *mut ThreadHeap {
        let local: *mut ThreadHeap;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads the calling thread's first word.
        unsafe {
            asm!(
                "mov {}, qword ptr fs:[{}]",
                out(reg) local,
                in(reg) distance(),
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: reads the calling thread's first word.
        unsafe {
            local = (&raw const (*words()).fast).read();
        }
        local
    }

    fn lookup(_heap: u64) -> *mut ThreadHeap {
        // SAFETY: reads the calling thread's second word.
        unsafe { (&raw const (*words()).local).read() }
    }

    fn set(_heap: u64, local: *mut ThreadHeap) {
        let fast = if CHECKS_CALLS.load(Relaxed) { core::ptr::null_mut() } else { local };
        let direct_limit = if fast.is_null() { 0 } else { ThreadHeap::MAX_DIRECT + 1 };
        // SAFETY: writes the calling thread's words.
        unsafe { words().write(TlsWords { fast, local, direct_limit }) };
        let key = KEY.load(Relaxed);
        if !local.is_null() && key != NO_KEY {
            // It may allocate: the thread has its thread heap by now.
            // SAFETY: `prepare` made the key.
            unsafe { libc::pthread_setspecific(key, local.cast()) };
        }
    }

    fn key() -> usize {
        words().addr()
    }
}
