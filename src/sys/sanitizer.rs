//! LeakSanitizer, where the program has it: memory that it is to search for pointers.
//!
//! It knows the memory of `malloc`, stacks and globals. A block that only an arena refers to would be a leak to it.

use core::ffi::c_void;

/// The address of a function that the program may not have: 0 then. A weak reference that the linker leaves undefined, and
/// not `dlsym`, which allocates where it finds nothing: a region may be made inside of `malloc`.
macro_rules! weak_address {
    ($name:literal) => {{
        let address: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads an entry of the table that the loader filled in.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {0}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
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
        // SAFETY: null, or a function of this type: `sanitizer/lsan_interface.h`.
        unsafe { core::mem::transmute::<usize, Option<unsafe extern "C" fn(*const c_void, usize)>>(address) }
    }};
}

/// Has a range searched for pointers. It reads those pages of it that are readable when it searches, so a region is
/// registered as a whole and once.
///
/// # Safety
/// Until [`unregister_root`] with the same arguments every readable page of the range may be read by anybody.
pub(crate) unsafe fn register_root(start: *const u8, len: usize) {
    if let Some(register) = weak_address!("__lsan_register_root_region") {
        // SAFETY: the caller's promise.
        unsafe { register(start.cast(), len) };
    }
}

/// Ends [`register_root`].
///
/// # Safety
/// The range was registered with these arguments, once.
pub(crate) unsafe fn unregister_root(start: *const u8, len: usize) {
    if let Some(unregister) = weak_address!("__lsan_unregister_root_region") {
        // SAFETY: the caller's promise.
        unsafe { unregister(start.cast(), len) };
    }
}
