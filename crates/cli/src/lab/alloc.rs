//! One trait for all arenas, each used as its documentation recommends.

use highwater::{Arena, Scope};

/// What a job allocates from. It is passed by value and kept in a local variable, so that a cursor can stay in a register.
pub trait BenchAlloc<'a> {
    /// Allocates `value`. It is never dropped.
    fn alloc_value<T>(&self, value: T) -> &'a mut T;

    /// Allocates a copy of `text`.
    fn alloc_text(&self, text: &str) -> &'a str;

    /// Bytes allocated so far, if the allocator counts.
    fn used(&self) -> Option<u64>;
}

impl<'a> BenchAlloc<'a> for Scope<'a> {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        self.alloc(value)
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn used(&self) -> Option<u64> {
        Some(self.allocated_bytes() as u64)
    }
}

impl<'a> BenchAlloc<'a> for &Scope<'a> {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        (**self).alloc_value(value)
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        (**self).alloc_text(text)
    }

    fn used(&self) -> Option<u64> {
        (**self).used()
    }
}

impl<'a> BenchAlloc<'a> for &'a Arena {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        self.alloc(value)
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn used(&self) -> Option<u64> {
        Some(self.allocated_bytes() as u64)
    }
}

impl<'a> BenchAlloc<'a> for &'a bumpalo::Bump {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        self.alloc(value)
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn used(&self) -> Option<u64> {
        // It counts only whole chunks.
        None
    }
}

impl<'a> BenchAlloc<'a> for &'a bump_scope::Bump {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        bump_scope::BumpBox::leak(self.alloc(value))
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        bump_scope::BumpBox::leak(self.alloc_str(text))
    }

    fn used(&self) -> Option<u64> {
        Some(self.stats().allocated() as u64)
    }
}
