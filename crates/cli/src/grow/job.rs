//! The interface of a job that is measured on any allocator.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::report::IndexFacts;
use crate::lab::BenchAlloc;

/// A job, divided between threads.
pub trait GrowJob: Sync {
    /// The name in results.
    const NAME: &'static str;

    /// What a thread builds in the allocator's memory.
    type Product<'a>: Send;

    /// Does the share of thread `thread` and checks the product. The times of the result cover only the building.
    fn run<'a, A: BenchAlloc<'a>>(
        &self,
        alloc: A,
        thread: usize,
        done: &ProgressCount,
    ) -> Result<Share<'a, Self>, String>
    where
        Self: Sized;

    /// The total that progress counts up to, in bytes.
    fn total(&self) -> u64;

    /// The facts about the products of all threads.
    fn facts(&self, products: &[Self::Product<'_>]) -> Option<IndexFacts>;
}

/// The result of one thread.
pub struct Share<'a, J: GrowJob> {
    /// What it built.
    pub product: J::Product<'a>,
    /// Calls to the allocator.
    pub allocations: u64,
    /// Bytes requested in them.
    pub asked: u64,
    /// Bytes used for them, if the allocator counts.
    pub used: Option<u64>,
    /// The product was checked completely; false if Ctrl-C came in between.
    pub checked: bool,
    /// When the building started and ended.
    pub time: (Instant, Instant),
}

/// The progress of all threads, in bytes; updated rarely.
#[derive(Default)]
pub struct ProgressCount(AtomicU64);

impl ProgressCount {
    /// Adds to the progress.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The progress so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
