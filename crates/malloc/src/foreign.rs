//! Blocks of other allocators: a plugin that was opened with `RTLD_DEEPBIND` has the system's malloc and not ours, and
//! where there is no address space for a heap everybody has.

use crate::wrong;
use core::ffi::c_void;
use core::ptr::NonNull;

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

/// A block of zeros from the system's malloc.
pub(crate) fn place(size: usize, align: usize) -> *mut c_void {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes any numbers.
    unsafe {
        if align <= crate::calls::ALIGN {
            return __libc_calloc(1, size);
        }
        let block = __libc_memalign(align, size);
        if !block.is_null() {
            block.write_bytes(0, size);
        }
        block
    }
    #[cfg(not(target_env = "gnu"))]
    {
        // Nothing is given back there.
        let block = crate::BOOT.allocate(size, align);
        if block.is_null() { crate::calls::refuse() } else { block.cast() }
    }
}

/// Takes a block back that is none of ours. With `looks` it has to look like one.
///
/// # Safety
/// As for `free`.
pub(crate) unsafe fn take(block: NonNull<u8>, looks: bool) {
    if looks {
        wrong::unless_foreign(block);
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: the caller's promise.
    unsafe {
        __libc_free(block.as_ptr().cast());
    }
}

/// How many bytes such a block has.
///
/// # Safety
/// As for `malloc_usable_size`.
pub(crate) unsafe fn size(block: NonNull<u8>) -> usize {
    // What is called `malloc_usable_size` behind this library. (Found when it is wanted: looking for it allocates.)
    // SAFETY: the name is a string; the function has this type.
    unsafe {
        let found = libc::dlsym(libc::RTLD_NEXT, c"malloc_usable_size".as_ptr());
        if found.is_null() {
            return 0;
        }
        core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> usize>(found)(
            block.as_ptr().cast(),
        )
    }
}

/// [`realloc`](crate::realloc) where there is no heap.
///
/// # Safety
/// As for that.
pub(crate) unsafe fn resize(block: NonNull<u8>, size: usize) -> *mut c_void {
    #[cfg(target_env = "gnu")]
    // SAFETY: the caller's promise.
    unsafe {
        __libc_realloc(block.as_ptr().cast(), size)
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let _ = (block, size);
        crate::calls::refuse()
    }
}
