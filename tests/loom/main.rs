//! Lock-free protocols under loom: the real files with loom's atomics.

mod border;
mod counter;
mod frontier;
mod order;
mod remote_free;
