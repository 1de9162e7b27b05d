//! Arenas behind one trait, used the way their users use them.

use highwater::{Arena, Scope};

/// What a job allocates from. Taken by value and held in a local variable, so that a cursor can live
/// in a register.
pub trait Alloc<'a> {
    /// Moves `value` in. It will not be dropped, only forgotten.
    fn put<T>(&self, value: T) -> &'a mut T;

    /// Copies `text` in.
    fn put_str(&self, text: &str) -> &'a str;

    /// Bytes allocated so far, if the allocator counts.
    fn used(&self) -> Option<u64>;
}

impl<'a> Alloc<'a> for Scope<'a> {
    #[inline]
    fn put<T>(&self, value: T) -> &'a mut T {
        self.alloc(value)
    }

    #[inline]
    fn put_str(&self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn used(&self) -> Option<u64> {
        Some(self.allocated_bytes() as u64)
    }
}

impl<'a> Alloc<'a> for &Scope<'a> {
    #[inline]
    fn put<T>(&self, value: T) -> &'a mut T {
        (**self).put(value)
    }

    #[inline]
    fn put_str(&self, text: &str) -> &'a str {
        (**self).put_str(text)
    }

    fn used(&self) -> Option<u64> {
        (**self).used()
    }
}

impl<'a> Alloc<'a> for &'a Arena {
    #[inline]
    fn put<T>(&self, value: T) -> &'a mut T {
        self.alloc(value)
    }

    #[inline]
    fn put_str(&self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn used(&self) -> Option<u64> {
        Some(self.allocated_bytes() as u64)
    }
}

impl<'a> Alloc<'a> for &'a bumpalo::Bump {
    #[inline]
    fn put<T>(&self, value: T) -> &'a mut T {
        self.alloc(value)
    }

    #[inline]
    fn put_str(&self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn used(&self) -> Option<u64> {
        // It counts whole chunks only.
        None
    }
}

impl<'a> Alloc<'a> for &'a bump_scope::Bump {
    #[inline]
    fn put<T>(&self, value: T) -> &'a mut T {
        bump_scope::BumpBox::leak(self.alloc(value))
    }

    #[inline]
    fn put_str(&self, text: &str) -> &'a str {
        bump_scope::BumpBox::leak(self.alloc_str(text))
    }

    fn used(&self) -> Option<u64> {
        Some(self.stats().allocated() as u64)
    }
}
