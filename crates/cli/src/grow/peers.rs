//! The others, used the way their users use them.

use std::{
    alloc::{Layout, dealloc},
    cell::RefCell,
    ptr::{self, NonNull},
};

use super::{alloc::Candidate, settings::Settings};
use crate::lab::Alloc;

impl Candidate for bumpalo::Bump {
    type Handle<'a> = &'a bumpalo::Bump;

    fn make(_: &Settings) -> Result<Self, String> {
        Ok(Self::new())
    }

    fn handle(&mut self) -> &bumpalo::Bump {
        self
    }

    fn held(&self) -> Option<u64> {
        Some(self.allocated_bytes_including_metadata() as u64)
    }
}

impl Candidate for bump_scope::Bump {
    type Handle<'a> = &'a bump_scope::Bump;

    fn make(_: &Settings) -> Result<Self, String> {
        Ok(Self::new())
    }

    fn handle(&mut self) -> &bump_scope::Bump {
        self
    }

    fn held(&self) -> Option<u64> {
        Some(self.stats().size() as u64)
    }
}

/// Sizes in words that boxes may have.
const CLASSES: usize = 8;
const WORD: usize = align_of::<u64>();

/// A `Vec<Box<T>>` for each size of `T`, and a `Vec<Box<str>>`.
///
/// The boxes are kept as raw pointers, since references to their contents are handed out while the
/// vectors grow and move them.
#[derive(Default)]
pub struct Boxes {
    values: [RefCell<Vec<NonNull<u8>>>; CLASSES],
    texts: RefCell<Vec<NonNull<str>>>,
}

// SAFETY: the pointers own what they point to, as boxes do; what they point to is only reached
// through references whose own types decide where they may go.
unsafe impl Send for Boxes {}

impl<'a> Alloc<'a> for &'a Boxes {
    #[inline]
    fn put<T>(&self, value: T) -> &'a mut T {
        const {
            assert!(size_of::<T>() > 0 && size_of::<T>().is_multiple_of(WORD) && align_of::<T>() == WORD);
            assert!(size_of::<T>() <= CLASSES * WORD && !std::mem::needs_drop::<T>());
        }
        let mut at = NonNull::from(Box::leak(Box::new(value)));
        self.values[size_of::<T>() / WORD - 1].borrow_mut().push(at.cast());
        // SAFETY: a fresh box, freed only when `self`, borrowed for 'a, is dropped; this is the only
        // reference to it.
        unsafe { at.as_mut() }
    }

    #[inline]
    fn put_str(&self, text: &str) -> &'a str {
        let at = NonNull::from(Box::leak(Box::<str>::from(text)));
        self.texts.borrow_mut().push(at);
        // SAFETY: as above.
        unsafe { at.as_ref() }
    }

    fn used(&self) -> Option<u64> {
        None
    }
}

impl Drop for Boxes {
    fn drop(&mut self) {
        for (class, values) in self.values.iter_mut().enumerate() {
            let layout = Layout::from_size_align((class + 1) * WORD, WORD).expect("a few words");
            for at in values.get_mut().drain(..) {
                // SAFETY: from a box of this very layout, which nothing points to any more and whose
                // type needs no drop.
                unsafe { dealloc(at.as_ptr(), layout) };
            }
        }
        for at in self.texts.get_mut().drain(..) {
            // SAFETY: leaked from a box in `put_str`, and nothing points to it any more.
            drop(unsafe { Box::from_raw(at.as_ptr()) });
        }
    }
}

impl Candidate for Boxes {
    type Handle<'a> = &'a Boxes;

    fn make(_: &Settings) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn handle(&mut self) -> &Boxes {
        self
    }
}

/// `malloc` and nothing else: a linked structure needs no list of its parts, and the end of the
/// process frees it.
pub struct Malloc;

impl Malloc {
    #[inline]
    fn bytes(size: usize) -> NonNull<u8> {
        // SAFETY: any size may be asked for.
        let at = unsafe { libc::malloc(size) };
        NonNull::new(at.cast()).unwrap_or_else(|| panic!("malloc: out of memory"))
    }
}

impl<'a> Alloc<'a> for &'a Malloc {
    #[inline]
    fn put<T>(&self, value: T) -> &'a mut T {
        const { assert!(size_of::<T>() > 0 && align_of::<T>() <= align_of::<libc::max_align_t>()) }
        let at = Malloc::bytes(size_of::<T>()).cast::<T>();
        // SAFETY: as large as `T` and aligned for anything; never freed, and nobody else has it.
        unsafe {
            at.write(value);
            &mut *at.as_ptr()
        }
    }

    #[inline]
    fn put_str(&self, text: &str) -> &'a str {
        let at = Malloc::bytes(text.len().max(1));
        // SAFETY: as large as `text`, whose copy is UTF-8 as well; never freed.
        unsafe {
            at.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
            &*(ptr::slice_from_raw_parts(at.as_ptr(), text.len()) as *const str)
        }
    }

    fn used(&self) -> Option<u64> {
        None
    }
}

impl Candidate for Malloc {
    type Handle<'a> = &'a Malloc;

    fn make(_: &Settings) -> Result<Self, String> {
        Ok(Self)
    }

    fn handle(&mut self) -> &Malloc {
        self
    }
}
