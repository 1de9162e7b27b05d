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
/// There is one such heap in a process, made by the first allocation; of several `Global`s the one that is used first
/// says how. What does not fit is a null pointer, as of any allocator: `try_reserve` returns an error, and std aborts for
/// the rest. A program that forks with threads running may allocate in the child.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    reserve: Option<usize>,
    limit: Option<usize>,
    finds_all: bool,
}

static HEAP: ReentrantOnce<Heap> = ReentrantOnce::new();
/// What making the heap allocates: names, lists of guards, errors.
static BOOT: BootArena<{ 64 << 10 }> = BootArena::new();

impl Global {
    /// With the default policies: 64 GiB reserved.
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

    /// See [`General::checked`]. What is found ends the process, by name.
    #[must_use]
    pub const fn checked(mut self, finds_all: bool) -> Self {
        self.finds_all = finds_all;
        self
    }

    /// The heap, for its figures; `None` before the first allocation, and where there is no address space for it.
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
        // (Without it a child may wait for a thread that it has not.)
        let _ = crate::sys::around_forks(before_fork, after_fork_in_parent, after_fork_in_child);
        Some(heap)
    }

    /// A block, before there is a heap or while it is made.
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
        // SAFETY: as above, as its copy.
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

// SAFETY: blocks of the heap, or of the bytes that it is made with; both stay, apart from each other, until they are given
// back.
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
            // (Those bytes are zero.)
            None => self.first(layout, true),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller's block, which is no null.
        let block = unsafe { NonNull::new_unchecked(block) };
        if let Some(heap) = HEAP.get() {
            // SAFETY: the caller's promise; what is another's is named by the heap.
            if let Err(error) = unsafe { heap.deallocate(block) }
                && !BOOT.contains(block.as_ptr())
            {
                // A block that is none, or a heap that was written over: there is nothing to go on with.
                abort_with(format_args!("{error}"));
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if let Some(heap) = HEAP.get()
            && !BOOT.contains(block)
        {
            // SAFETY: the caller's block, which is no null, and its promise.
            return pointer(unsafe { heap.reallocate(NonNull::new_unchecked(block), size, layout.align()) });
        }
        // SAFETY: the caller's promise: the alignment is one, and so is the size.
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
