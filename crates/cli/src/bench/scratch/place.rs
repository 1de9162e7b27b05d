//! Where a job's values live, and who owns them there.

use std::ops::{Deref, DerefMut};

use allocator_api2::alloc::{Allocator, Global};

use crate::lab::BenchAlloc;

/// An arena, or the heap: in an arena values are borrowed and end with its reset, on the heap each is owned and freed
/// when its owner is dropped.
pub trait Place<'a>: Allocator + Copy {
    /// A value that lives there.
    type Own<T: 'a>: DerefMut<Target = T>;
    /// A text that lives there.
    type Text: Deref<Target = str>;

    /// Moves a value in.
    fn own<T: 'a>(self, value: T) -> Self::Own<T>;

    /// Copies a text in.
    fn text(self, text: &str) -> Self::Text;
}

impl<'a, A: BenchAlloc<'a> + Allocator + Copy> Place<'a> for A {
    type Own<T: 'a> = &'a mut T;
    type Text = &'a str;

    #[inline]
    fn own<T: 'a>(self, value: T) -> &'a mut T {
        self.alloc_value(value)
    }

    #[inline]
    fn text(self, text: &str) -> &'a str {
        self.alloc_text(text)
    }
}

impl<'a> Place<'a> for Global {
    type Own<T: 'a> = Box<T>;
    type Text = Box<str>;

    #[inline]
    fn own<T: 'a>(self, value: T) -> Box<T> {
        Box::new(value)
    }

    #[inline]
    fn text(self, text: &str) -> Box<str> {
        text.into()
    }
}
