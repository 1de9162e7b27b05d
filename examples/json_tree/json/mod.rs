//! Trees of JSON: one parser and one reader, over four ways of keeping the tree in memory.

mod arena;
pub mod document;
pub mod flat;
mod heap;
mod parse;
pub mod query;
mod refs;
mod tree;

pub use arena::Handles;
pub use heap::Heap;
pub use parse::{Error, MAX_DEPTH, text_of};
pub use refs::{Bumpalo, References};
pub use tree::{Keep, Kind, LARGE, Node, Visit, count, write};
