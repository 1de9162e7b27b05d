//! Where a thread keeps its entry of the heap: three words of thread-local storage at a fixed distance from the thread
//! pointer (initial-exec), since a `thread_local!` of a shared library is a call of `__tls_get_addr`, which may allocate.

use core::arch::{asm, global_asm};
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicU32};
use highwater::internal::heap::{ThreadHeap, ThreadSlot};

// The first word is what the fast paths take: the entry, or null where every call has to be looked at. The second is the
// entry in any case. The third is above every size that the first has at hand, and 0 where that is null: so one compare
// tells an allocation both.
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
struct Words {
    fast: *mut ThreadHeap,
    local: *mut ThreadHeap,
    above: usize,
}

/// How far the words are from the thread pointer: the same in every thread.
#[inline(always)]
fn distance() -> usize {
    let distance: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads what the loader wrote, once and for all.
    unsafe {
        asm!(
            "mov {}, qword ptr [rip + highwater_malloc_slot@GOTTPOFF]",
            out(reg) distance,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
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
    // SAFETY: the first word there is its own address.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads a register.
    unsafe {
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
    }
    pointer
}

/// The calling thread's words.
fn words() -> *mut Words {
    core::ptr::with_exposed_provenance_mut(thread_pointer().wrapping_add(distance()))
}

/// See the module.
pub(crate) struct Slot;

/// Whether every call has to be looked at: then the fast paths find nothing.
static LOOKS: AtomicBool = AtomicBool::new(false);

/// No key: a thread that ends is found later, by its number.
const NO_KEY: u32 = u32::MAX;
/// What is told when a thread ends.
static KEY: AtomicU32 = AtomicU32::new(NO_KEY);

impl Slot {
    /// Before any thread has an entry: whether every call has to be looked at, and who is called when a thread that has
    /// one ends.
    pub(crate) fn prepare(looks: bool, ended: unsafe extern "C" fn(*mut core::ffi::c_void)) {
        LOOKS.store(looks, Relaxed);
        let mut key = 0;
        // SAFETY: the function may be called as long as the process lives: the library is never unloaded.
        if unsafe { libc::pthread_key_create(&raw mut key, Some(ended)) } == 0 {
            KEY.store(key, Relaxed);
        }
    }

    /// All sizes below may be at hand of the calling thread, whose entry is there then.
    #[inline(always)]
    pub(crate) fn above() -> usize {
        let above: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads the calling thread's third word.
        unsafe {
            asm!(
                "mov {}, qword ptr fs:[{} + 16]",
                out(reg) above,
                in(reg) distance(),
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: as above.
        unsafe {
            above = (&raw const (*words()).above).read();
        }
        above
    }
}

// SAFETY: words of the thread's own, for the one heap that there is; their address is the key.
unsafe impl ThreadSlot for Slot {
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
        // SAFETY: as above.
        unsafe {
            local = (&raw const (*words()).fast).read();
        }
        local
    }

    fn lookup(_heap: u64) -> *mut ThreadHeap {
        // SAFETY: the calling thread's second word.
        unsafe { (&raw const (*words()).local).read() }
    }

    fn set(_heap: u64, local: *mut ThreadHeap) {
        let fast = if LOOKS.load(Relaxed) { core::ptr::null_mut() } else { local };
        // SAFETY: the calling thread's words.
        unsafe {
            words().write(Words {
                fast,
                local,
                above: if fast.is_null() { 0 } else { ThreadHeap::MAX_DIRECT + 1 },
            })
        };
        let key = KEY.load(Relaxed);
        if !local.is_null() && key != NO_KEY {
            // Where it needs memory it may have it: the entry is there.
            // SAFETY: the key was made.
            unsafe { libc::pthread_setspecific(key, local.cast()) };
        }
    }

    fn key() -> usize {
        words().addr()
    }
}
