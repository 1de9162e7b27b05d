//! LeakSanitizer, where the program has it: regions that it is to search for pointers.
//!
//! It searches the memory of `malloc`, stacks and globals. A block that only an arena refers to would be a leak to it.
//!
//! Contract: outside of signals; without LeakSanitizer the functions do nothing.

use core::ffi::c_void;

/// A function that the program may not have, by a weak reference that the linker leaves undefined. (`dlsym` allocates where
/// it finds nothing, and a region may be made inside of `malloc`.)
macro_rules! weak_address {
    ($name:literal) => {{
        let address: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: loads an entry of the global offset table, which the loader has filled in: an address, or 0 since the symbol
        // is weak.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {0}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: loads an entry of the global offset table, which the loader has filled in: an address, or 0 since the symbol
        // is weak.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("adrp {0}, :got:", $name),
                concat!("ldr {0}, [{0}, :got_lo12:", $name, "]"),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            address = 0;
        }
        // SAFETY: `None` for 0, and otherwise a function of the type that `sanitizer/lsan_interface.h` declares.
        unsafe { core::mem::transmute::<usize, Option<unsafe extern "C" fn(*const c_void, usize)>>(address) }
    }};
}

/// Has a range searched for pointers: those pages that are readable at the time of the search. So a region is registered as
/// a whole and once.
///
/// # Safety
/// Until [`unregister_root`] with the same arguments, every readable page of the range may be read from any thread.
pub(crate) unsafe fn register_root(start: *const u8, len: usize) {
    if let Some(register) = weak_address!("__lsan_register_root_region") {
        // SAFETY: LeakSanitizer reads the pages of the range that are readable, which this function's contract allows.
        unsafe { register(start.cast(), len) };
    }
}

/// Ends [`register_root`].
///
/// # Safety
/// The range was registered with these arguments, once.
pub(crate) unsafe fn unregister_root(start: *const u8, len: usize) {
    if let Some(unregister) = weak_address!("__lsan_unregister_root_region") {
        // SAFETY: the range was registered with these arguments, as this function's contract says.
        unsafe { unregister(start.cast(), len) };
    }
}
