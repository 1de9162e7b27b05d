//! A small use of every container and allocator, for Miri (`.ci/deep`): each test keeps what it was given for as long as it
//! may, and uses it in turn with what comes later. That is where a wrong claim to memory would show, and what races.
//! Everywhere else these are ordinary tests. A binary of their own: Miri compiles and runs nothing else.

mod arenas;
mod heap_figures;
mod heaps;
mod vectors;

use std::cell::Cell;

const MANY: usize = if cfg!(miri) { 12 } else { 1_000 };

/// Counts its drops.
struct Counted<'c>(&'c Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}
