//! What is done with an allocator, whichever it is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::report::IndexFacts;
use crate::lab::Alloc;

/// One thread's share of a job, done on one allocator.
pub trait Job: Sync {
    /// As results call it.
    const NAME: &'static str;

    /// What a thread made, in the allocator's memory.
    type Made<'a>: Send;

    /// Does the share of thread `thread` and checks what it made. The clock of the result covers the
    /// making alone.
    fn run<'a, A: Alloc<'a>>(&self, alloc: A, thread: usize, done: &Done) -> Result<Share<'a, Self>, String>
    where
        Self: Sized;

    /// What progress counts up to, in bytes.
    fn total(&self) -> u64;

    /// The facts of all threads' work together.
    fn facts(&self, made: &[Self::Made<'_>]) -> Option<IndexFacts>;
}

/// What one thread did.
pub struct Share<'a, J: Job> {
    /// What it made.
    pub made: J::Made<'a>,
    /// Calls to the allocator.
    pub allocations: u64,
    /// Bytes asked for in them.
    pub asked: u64,
    /// Bytes used for them, if the allocator counts.
    pub used: Option<u64>,
    /// All of it was looked at again and found right; Ctrl-C may come in between.
    pub checked: bool,
    /// When the making began and ended.
    pub time: (Instant, Instant),
}

/// How far all threads are, in bytes; added to seldom.
#[derive(Default)]
pub struct Done(AtomicU64);

impl Done {
    /// So much more is done.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much is done.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
