//! Where a job's values are stored, and how they are owned.

use std::ops::{Deref, DerefMut};

use allocator_api2::alloc::{Allocator, Global};

use crate::lab::BenchAlloc;

/// An arena or the heap: in an arena values are borrowed and end with its reset; on the heap each is owned and freed when
/// its owner is dropped.
pub trait JobStorage<'a>: Allocator + Copy {
    /// A stored value.
    type Owned<T: 'a>: DerefMut<Target = T>;
    /// A stored text.
    type Text: Deref<Target = str>;

    /// Stores a value.
    fn store<T: 'a>(self, value: T) -> Self::Owned<T>;

    /// Stores a copy of a text.
    fn text(self, text: &str) -> Self::Text;
}

impl<'a, A: BenchAlloc<'a> + Allocator + Copy> JobStorage<'a> for A {
    type Owned<T: 'a> = &'a mut T;
    type Text = &'a str;

    #[inline]
    fn store<T: 'a>(self, value: T) -> &'a mut T {
        self.alloc_value(value)
    }

    #[inline]
    fn text(self, text: &str) -> &'a str {
        self.alloc_text(text)
    }
}

impl<'a> JobStorage<'a> for Global {
    type Owned<T: 'a> = Box<T>;
    type Text = Box<str>;

    #[inline]
    fn store<T: 'a>(self, value: T) -> Box<T> {
        Box::new(value)
    }

    #[inline]
    fn text(self, text: &str) -> Box<str> {
        text.into()
    }
}
