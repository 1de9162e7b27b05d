//! [`Global`]: the heap as a Rust program's allocator.

use super::{General, Heap};
use crate::policy::{Growth, Headroom, Reserve};
use crate::sys::{BootArena, OnceState, ReentrantOnce, abort_with};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

/// A [`Heap`] of [`General`] blocks as the allocator of a whole program.
///
/// ```
/// use highwater::heap::Global;
///
/// #[global_allocator]
/// static GLOBAL: Global = Global::new();
///
/// let text = "from the heap".repeat(100);
/// assert!(Global::heap().unwrap().contains(text.as_ptr()));
/// ```
///
/// There is one such heap in a process, made by the first allocation; of several `Global`s the first one in use decides how.
/// A refused allocation is a null pointer, as with any allocator: `try_reserve` returns an error, and std aborts otherwise. A
/// program that forks with threads running may allocate in the child.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    reserve: Option<usize>,
    limit: Option<usize>,
    finds_all: bool,
}

static HEAP: ReentrantOnce<Heap> = ReentrantOnce::new();
/// For what is allocated while the heap is made: names, lists of guards, errors.
static BOOT: BootArena<{ 64 << 10 }> = BootArena::new();

impl Global {
    /// With the default policies: 64 GiB reserved.
    ///
    /// ```
    /// #[global_allocator]
    /// static GLOBAL: highwater::heap::Global = highwater::heap::Global::new();
    ///
    /// assert_eq!(vec![7; 100].len(), 100);
    /// ```
    pub const fn new() -> Self {
        Global { reserve: None, limit: None, finds_all: false }
    }

    /// How much address space to reserve, in bytes.
    #[must_use]
    pub const fn reserve(mut self, bytes: usize) -> Self {
        self.reserve = Some(bytes);
        self
    }

    /// How much of it may be used, in bytes.
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// See [`General::checked`]. An error ends the process with a message that names it.
    #[must_use]
    pub const fn checked(mut self, finds_all: bool) -> Self {
        self.finds_all = finds_all;
        self
    }

    /// The heap, for its figures; `None` before the first allocation, and if there is no address space for it.
    pub fn heap() -> Option<&'static Heap> {
        HEAP.get()
    }

    fn make(&self) -> Option<Heap> {
        let builder = Heap::builder()
            .name("global")
            .growth(Growth::default())
            .headroom(Headroom::Off)
            .policy(General::new().checked(self.finds_all));
        let builder = match self.reserve {
            Some(bytes) => builder.reserve(Reserve::Bytes(bytes)),
            None => builder,
        };
        let builder = match self.limit {
            Some(bytes) => builder.limit(bytes),
            None => builder,
        };
        let heap = builder.try_build().ok()?;
        #[cfg(not(highwater_portable))]
        // (Without it a child may wait for a thread that exists only in its parent.)
        let _ = crate::sys::around_forks(before_fork, after_fork_in_parent, after_fork_in_child);
        Some(heap)
    }

    /// Allocates a block before there is a heap, or while it is made.
    #[cold]
    #[inline(never)]
    fn first(&self, layout: Layout, is_zero: bool) -> *mut u8 {
        match HEAP.get_or_init(|| self.make()) {
            OnceState::Ready(heap) if is_zero => pointer(heap.allocate_zeroed(layout.size(), layout.align())),
            OnceState::Ready(heap) => pointer(heap.allocate(layout.size(), layout.align())),
            OnceState::Initializing => BOOT.allocate(layout.size(), layout.align()),
            OnceState::Failed => null_mut(),
        }
    }
}

#[cfg(not(highwater_portable))]
extern "C" fn before_fork() {
    if let Some(heap) = HEAP.get() {
        heap.before_fork();
    }
}

#[cfg(not(highwater_portable))]
extern "C" fn after_fork_in_parent() {
    if let Some(heap) = HEAP.get() {
        // SAFETY: this thread is in the middle of a fork, and `before_fork` came first.
        unsafe { heap.after_fork(false) };
    }
}

#[cfg(not(highwater_portable))]
extern "C" fn after_fork_in_child() {
    if let Some(heap) = HEAP.get() {
        // SAFETY: this thread is the copy of the one that called `before_fork`.
        unsafe { heap.after_fork(true) };
    }
}

#[inline(always)]
fn pointer(block: Result<NonNull<u8>, super::HeapError>) -> *mut u8 {
    match block {
        Ok(block) => block.as_ptr(),
        Err(_) => null_mut(),
    }
}

// SAFETY: a block is the heap's or the boot arena's. Both live as long as the process, and their live blocks do not overlap.
unsafe impl GlobalAlloc for Global {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match HEAP.get() {
            Some(heap) => pointer(heap.allocate(layout.size(), layout.align())),
            None => self.first(layout, false),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match HEAP.get() {
            Some(heap) => pointer(heap.allocate_zeroed(layout.size(), layout.align())),
            // (Bytes of the boot arena are zero.)
            None => self.first(layout, true),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: `block` is a block of this allocator: this function's contract. Such a block is not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        if let Some(heap) = HEAP.get() {
            // SAFETY: a block of this allocator that is no longer used: this function's contract. The heap recognises the boot arena's.
            if let Err(error) = unsafe { heap.deallocate(block) }
                && !BOOT.contains(block.as_ptr())
            {
                // The address is no block, or the heap was overwritten: the program cannot go on.
                abort_with(format_args!("{error}"));
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if let Some(heap) = HEAP.get()
            && !BOOT.contains(block)
        {
            // SAFETY: a block of this allocator, so not null, that is no longer used: this function's contract.
            return pointer(unsafe { heap.reallocate(NonNull::new_unchecked(block), size, layout.align()) });
        }
        // SAFETY: the layout is the block's, and `size` is valid for its alignment: this function's contract. The new block has at
        // least `size` bytes.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
            }
            new
        }
    }
}

impl Default for Global {
    fn default() -> Self {
        Self::new()
    }
}
