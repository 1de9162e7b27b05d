//! The peers, each used as its documentation recommends.

use std::{
    alloc::{Layout, dealloc},
    cell::RefCell,
    ptr::{self, NonNull},
};

use super::{alloc::Candidate, settings::ArenaSettings};
use crate::lab::BenchAlloc;

impl Candidate for bumpalo::Bump {
    type Handle<'a> = &'a bumpalo::Bump;

    fn make(_: &ArenaSettings) -> Result<Self, String> {
        Ok(Self::new())
    }

    fn handle(&mut self) -> &bumpalo::Bump {
        self
    }

    fn obtained(&self) -> Option<u64> {
        Some(self.allocated_bytes_including_metadata() as u64)
    }
}

impl Candidate for bump_scope::Bump {
    type Handle<'a> = &'a bump_scope::Bump;

    fn make(_: &ArenaSettings) -> Result<Self, String> {
        Ok(Self::new())
    }

    fn handle(&mut self) -> &bump_scope::Bump {
        self
    }

    fn obtained(&self) -> Option<u64> {
        Some(self.stats().size() as u64)
    }
}

/// How many sizes of boxes there are, in words.
const CLASSES: usize = 8;
const WORD: usize = align_of::<u64>();

/// A `Vec<Box<T>>` for each size of `T`, and a `Vec<Box<str>>`.
///
/// The boxes are kept as raw pointers, since references to their contents are handed out while the
/// vectors grow and move them.
#[derive(Default)]
pub struct BoxPeer {
    values: [RefCell<Vec<NonNull<u8>>>; CLASSES],
    texts: RefCell<Vec<NonNull<str>>>,
}

// SAFETY: the pointers own their targets, as boxes do; the targets are only accessed through references, whose own types
// decide whether they can be sent to other threads.
unsafe impl Send for BoxPeer {}

impl<'a> BenchAlloc<'a> for &'a BoxPeer {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        const {
            assert!(size_of::<T>() > 0 && size_of::<T>().is_multiple_of(WORD) && align_of::<T>() == WORD);
            assert!(size_of::<T>() <= CLASSES * WORD && !std::mem::needs_drop::<T>());
        }
        let mut block = NonNull::from(Box::leak(Box::new(value)));
        self.values[size_of::<T>() / WORD - 1].borrow_mut().push(block.cast());
        // SAFETY: the box is new and is freed only when `self`, borrowed for 'a, is dropped; this is the only reference
        // to it.
        unsafe { block.as_mut() }
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        let block = NonNull::from(Box::leak(Box::<str>::from(text)));
        self.texts.borrow_mut().push(block);
        // SAFETY: the box is new and is freed only when `self`, borrowed for 'a, is dropped.
        unsafe { block.as_ref() }
    }

    fn used(&self) -> Option<u64> {
        None
    }
}

impl Drop for BoxPeer {
    fn drop(&mut self) {
        for (class, values) in self.values.iter_mut().enumerate() {
            let layout = Layout::from_size_align((class + 1) * WORD, WORD).expect("a few words");
            for block in values.get_mut().drain(..) {
                // SAFETY: the block is from a box with this layout, has no references left, and its type needs no drop.
                unsafe { dealloc(block.as_ptr(), layout) };
            }
        }
        for block in self.texts.get_mut().drain(..) {
            // SAFETY: the pointer is from a box leaked in `alloc_text`, and has no references left.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}

impl Candidate for BoxPeer {
    type Handle<'a> = &'a BoxPeer;

    fn make(_: &ArenaSettings) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn handle(&mut self) -> &BoxPeer {
        self
    }
}

/// `malloc` without any bookkeeping: the end of the process frees the blocks.
pub struct MallocPeer;

impl MallocPeer {
    #[inline]
    fn bytes(size: usize) -> NonNull<u8> {
        // SAFETY: malloc has no preconditions.
        let block = unsafe { libc::malloc(size) };
        NonNull::new(block.cast()).unwrap_or_else(|| panic!("malloc: out of memory"))
    }
}

impl<'a> BenchAlloc<'a> for &'a MallocPeer {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        const { assert!(size_of::<T>() > 0 && align_of::<T>() <= align_of::<libc::max_align_t>()) }
        let block = MallocPeer::bytes(size_of::<T>()).cast::<T>();
        // SAFETY: the block is as large as `T`, aligned for any type and never freed, and this is the only pointer to it.
        unsafe {
            block.write(value);
            &mut *block.as_ptr()
        }
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        let block = MallocPeer::bytes(text.len().max(1));
        // SAFETY: the block is as large as `text`, its copy is UTF-8 too, and it is never freed.
        unsafe {
            block.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
            &*(ptr::slice_from_raw_parts(block.as_ptr(), text.len()) as *const str)
        }
    }

    fn used(&self) -> Option<u64> {
        None
    }
}

impl Candidate for MallocPeer {
    type Handle<'a> = &'a MallocPeer;

    fn make(_: &ArenaSettings) -> Result<Self, String> {
        Ok(Self)
    }

    fn handle(&mut self) -> &MallocPeer {
        self
    }
}
