//! Lock-free protocols under loom: the real files with loom's atomics.

// Each file holds the real one as a module of the same name.
#![allow(clippy::module_inception)]

mod border;
mod counter;
mod frontier;
mod order;
mod remote_free;
