//! Arenas: the suite for each kind of them, boxes, pools, and the programs that are written for bumpalo.

// The suite is compiled once for each kind of arena, and so are the bumpalo programs.
#![allow(clippy::duplicate_mod)]

mod boxed;
mod bumpalo_checked;
mod bumpalo_peer;
mod bumpalo_plain;
mod checked;
mod checked_protect;
mod plain;
mod pool;
mod pool_bounds;
mod pool_decay;
mod traits;
