//! The allocation calls of arenas and scopes.
//!
//! `calls!("type", 'lifetime)` writes them once for each type. They are thin: [`ErrorMode`](super::source::ErrorMode) says
//! how a call fails (by a panic or an error), and the functions of `body` do the work.

#[macro_use]
mod boxes;
#[macro_use]
mod slices;
#[macro_use]
mod text;
#[macro_use]
mod values;

/// Writes the allocation calls into an `impl` block of a type with a field `cursor`, which is a
/// [`BlockSource`](super::source::BlockSource).
macro_rules! calls {
    ($what:literal, $life:lifetime) => {
        value_calls!($what, $life);
        text_calls!($life);
        slice_calls!($life);
        box_calls!($life);
    };
}
