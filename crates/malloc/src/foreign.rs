//! Blocks of the system's malloc. A plugin that was opened with `RTLD_DEEPBIND` has that malloc and not this one; and where
//! there is no address space for a heap, every block comes from it.

#[cfg(not(target_env = "gnu"))]
use crate::{boot::BOOT, errno::out_of_memory};
use core::ffi::c_void;
use core::ptr::NonNull;
#[cfg(target_env = "gnu")]
use highwater::heap::MIN_ALIGN;

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

/// Allocates a block of zeros.
pub(crate) fn allocate(size: usize, align: usize) -> *mut c_void {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc accepts any size, and any power of two as alignment; a block that is not null has `size` bytes.
    unsafe {
        if align <= MIN_ALIGN {
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
        // Other C libraries have no second name for their malloc. These blocks are never freed.
        let block = BOOT.allocate(size, align);
        if block.is_null() { out_of_memory() } else { block.cast() }
    }
}

/// Deallocates a block.
///
/// # Safety
/// That of `free`: it is a live block of the system's malloc, and is not used any more.
pub(crate) unsafe fn deallocate(block: NonNull<u8>) {
    #[cfg(target_env = "gnu")]
    // SAFETY: a live block of glibc's, which is not used any more: this function's contract.
    unsafe {
        __libc_free(block.as_ptr().cast());
    }
}

/// The usable bytes of a block.
///
/// # Safety
/// It is a live block of the system's malloc.
pub(crate) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // The function of that name in the libraries behind this one. (Looked up when it is called: dlsym allocates.)
    // SAFETY: the name is a string; a function of that name has this type, and gets a live block of its own.
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

/// Reallocates a block.
///
/// # Safety
/// That of `realloc`: it is a live block of the system's malloc, and is not used any more if the result is not null.
pub(crate) unsafe fn reallocate(block: NonNull<u8>, size: usize) -> *mut c_void {
    #[cfg(target_env = "gnu")]
    // SAFETY: a live block of glibc's: this function's contract.
    unsafe {
        __libc_realloc(block.as_ptr().cast(), size)
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let _ = (block, size);
        out_of_memory()
    }
}
