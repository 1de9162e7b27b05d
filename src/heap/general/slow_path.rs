//! Allocation and free of blocks beyond the fast paths.

use super::GeneralHeap;
use super::classes::class_for;
use super::page::{FULL, FreeBlock, LARGE_BLOCK, Page, SLOW};
use super::thread_heap::ThreadHeap;
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering::Relaxed;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// Allocates a block that the fast path could not.
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_slow(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let local = T::lookup(self.id);
        let Some(class) = class_for(size, align) else {
            return self.allocate_large(local, size, align).map(|(block, _)| block);
        };
        let local = if local.is_null() { self.join() } else { Some(local) };
        // SAFETY: `lookup` and `join` return the calling thread's own thread heap; the first one is guarded by `shared`, which
        // is locked until the block is allocated.
        unsafe {
            match local {
                Some(local) => self.allocate_in(&*local, class),
                None => {
                    let _held = self.shared.lock();
                    self.allocate_in(&*self.thread_heap_at(0), class)
                }
            }
        }
    }

    /// Allocates a block of a class: from the first page of its queue, which the table by size does not always lead to, or from
    /// a page that [`refill`](Self::refill) finds.
    ///
    /// # Safety
    /// The calling thread owns `local`.
    unsafe fn allocate_in(&self, local: &ThreadHeap, class: usize) -> Result<NonNull<u8>, HeapError> {
        // SAFETY: the calling thread owns `local`: this function's contract. The first page of a queue is one of `local`'s.
        let block = unsafe {
            let first = local.queue(class).first.get();
            let block = if first.is_null() { null_mut() } else { (*first).pop() };
            if block.is_null() { (*self.refill(local, class)?).pop() } else { block }
        };
        let Some(block) = NonNull::new(block.cast::<u8>()) else {
            return Err(HeapError::Corrupt {
                address: self.origin.addr(),
                what: "a page's list of free blocks",
            });
        };
        if self.checks {
            self.mark_live(block);
        }
        Ok(block)
    }

    /// Allocates a zeroed block that the fast path could not.
    pub(super) fn allocate_slow_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let (block, dirty) = match class_for(size, align) {
            Some(_) => (self.allocate_slow(size, align)?, size),
            None => self.allocate_large(T::lookup(self.id), size, align)?,
        };
        let dirty = if self.backing.purges_to_zero() { dirty.min(size) } else { size };
        // SAFETY: the block was allocated just now, and has at least `size` bytes.
        unsafe { self.backing.clear(block, dirty) };
        Ok(block)
    }

    /// Frees a block that the fast path could not.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, it is no longer used.
    #[inline(never)]
    pub(super) unsafe fn deallocate_slow(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let page = self.find(block)?;
        if self.checks && !self.unmark_live(block) {
            return Err(HeapError::DoubleFree { address: block.addr().get() });
        }
        if page.kind.get() == LARGE_BLOCK {
            // SAFETY: the run is one live block, which is no longer used: this function's contract.
            unsafe { self.free_run(core::ptr::from_ref(page).cast_mut()) };
            return Ok(());
        }
        let tag = page.tag.get();
        // SAFETY: a slot returns null or the calling thread's own thread heap, which lives as long as the heap.
        let local = unsafe { T::lookup(self.id).as_ref() };
        match local.filter(|local| local.tag.get() == tag & !(FULL | SLOW)) {
            // SAFETY: the page has the calling thread's tag. `find` returned the page of this block, which is no longer used: this
            // function's contract. A full page was taken out of its queue by `park_page`.
            Some(local) => unsafe {
                if tag & FULL != 0 {
                    self.unpark_page(local, page);
                }
                if page.push(block.as_ptr().cast()) {
                    self.note_idle(local, page);
                }
            },
            // SAFETY: `find` returned the page of this block, which is no longer used: this function's contract.
            None => unsafe { self.deallocate_remote(page, tag, block) },
        }
        Ok(())
    }

    /// Frees a block of another thread's page, and notifies the owner if the page is parked.
    ///
    /// # Safety
    /// It is a live block of this page, and no longer used; `tag` is the page's.
    unsafe fn deallocate_remote(&self, page: &Page, tag: u32, block: NonNull<u8>) {
        let offset = block.addr().get().wrapping_sub(self.origin.addr());
        let link = block.cast::<FreeBlock>();
        let must_notify = page.remote.push(offset, |next| {
            let next = next.map_or(null_mut(), |next| self.origin.wrapping_add(next).cast());
            // SAFETY: the block has at least 16 bytes, is no longer used (this function's contract), and no other thread knows it
            // before it is pushed.
            unsafe { link.as_ref().0.set(next) };
        });
        if must_notify {
            let owner = (tag & !(FULL | SLOW)).wrapping_sub(1) as usize;
            // SAFETY: a tag is the index of a thread heap that was made, plus one.
            let notified = unsafe { &(*self.thread_heap_at(owner)).shared_state.notified };
            notified.push(self.index_of(page) + 1, |next| page.next_notified.store(next, Relaxed));
        }
    }
}
