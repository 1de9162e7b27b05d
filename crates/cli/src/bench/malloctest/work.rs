//! The measured work: an array of blocks is filled and emptied.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use highwater::stats::now_ns;

use super::{
    allocator::{BlockAllocator, TestAllocator},
    plan::{WorkShape, WriteMode},
    sizes::Sizes,
    usage::ProcessUsage,
};

/// How many blocks are checked at most.
const MAX_VERIFIED: usize = 100_000;

/// The result of all threads together.
#[derive(Default)]
pub struct WorkResult {
    /// For each repeat, the time from the first start to the last end.
    pub repeat_ns: Vec<u64>,
    /// The sum of the times of all threads.
    pub thread_ns: u64,
    /// The usage of the process in the repeats.
    pub usage: ProcessUsage,
    /// Bytes requested in blocks.
    pub asked: u64,
    /// Peak memory at the end of the last repeat.
    pub peak_rss: Option<u64>,
    /// Blocks that were filled and found intact.
    pub verified: u64,
}

/// What the threads of a run share.
struct SharedState {
    barrier: Barrier,
    /// For each repeat: the first start and the last end.
    spans: Vec<(AtomicU64, AtomicU64)>,
}

/// Does all repeats in all threads. The calling thread is one of them: some allocators are faster on a process's first
/// thread.
pub fn run<S: TestAllocator>(shape: &WorkShape, write: WriteMode) -> Result<WorkResult, String> {
    let spans = (0..shape.repeats).map(|_| (AtomicU64::new(u64::MAX), AtomicU64::new(0))).collect();
    let shared = SharedState { barrier: Barrier::new(shape.threads), spans };
    let mut measured = thread::scope(|scope| {
        let others: Vec<_> = (1..shape.threads)
            .map(|thread| {
                let shared = &shared;
                scope.spawn(move || run_thread::<S>(shape, write, thread, shared))
            })
            .collect();
        let mut measured = run_thread::<S>(shape, write, 0, &shared);
        for other in others {
            let other = other.join().unwrap_or_else(|_| Err("a thread panicked".into()));
            measured = measured.and_then(|mut measured| {
                let other = other?;
                measured.thread_ns += other.thread_ns;
                measured.asked += other.asked;
                measured.verified += other.verified;
                Ok(measured)
            });
        }
        measured
    })?;
    measured.repeat_ns = shared
        .spans
        .iter()
        .map(|(start, end)| end.load(Ordering::Relaxed) - start.load(Ordering::Relaxed))
        .collect();
    Ok(measured)
}

fn run_thread<S: TestAllocator>(
    shape: &WorkShape,
    write: WriteMode,
    thread: usize,
    shared: &SharedState,
) -> Result<WorkResult, String> {
    let mut measured = WorkResult::default();
    let mut subject = S::make(shape);
    let mut sizes = Sizes::new(shape).map_err(|error| format!("no memory for the sizes: {error}"));
    let mut failure = None;
    for (repeat, span) in shared.spans.iter().enumerate() {
        // A thread that has failed must still reach the barriers.
        let drawn = sizes.as_mut().map(|sizes| sizes.draw(thread, repeat)).unwrap_or_default();
        measured.asked += drawn.iter().map(|size| u64::from(*size)).sum::<u64>();
        shared.barrier.wait();
        // One thread reads the usage while the others wait at the barrier.
        let before = (thread == 0).then(ProcessUsage::now);
        shared.barrier.wait();
        let start = now_ns();
        let result = match write {
            WriteMode::Nothing => repeat_once(&mut subject, drawn, |_, _| {}),
            // SAFETY: `repeat_once` passes live blocks of at least one byte.
            WriteMode::First => repeat_once(&mut subject, drawn, |block, _| unsafe { block.write(1) }),
            WriteMode::All => {
                // SAFETY: `repeat_once` passes live blocks with their sizes.
                repeat_once(&mut subject, drawn, |block, size| unsafe { block.write_bytes(1, size) })
            }
        };
        let end = now_ns();
        span.0.fetch_min(start, Ordering::Relaxed);
        span.1.fetch_max(end, Ordering::Relaxed);
        measured.thread_ns += end - start;
        failure = failure.or(result.err());
        shared.barrier.wait();
        if let Some(before) = before {
            measured.usage = measured.usage + (ProcessUsage::now() - before);
        }
    }
    measured.peak_rss = crate::machine::peak_rss();
    let mut sizes = sizes?;
    let drawn = sizes.draw(thread, 0);
    measured.verified = verify(&mut subject, &drawn[..drawn.len().min(MAX_VERIFIED)])?;
    failure.map_or(Ok(measured), Err)
}

/// Does one repeat of one thread.
#[inline(never)]
fn repeat_once<S: TestAllocator>(
    subject: &mut S,
    sizes: &[u32],
    touch: impl Fn(*mut u8, usize),
) -> Result<(), String> {
    let handle = subject.begin();
    let array = Array::allocate(&handle, sizes.len())?;
    for (index, size) in sizes.iter().enumerate() {
        let size = *size as usize;
        let block = handle.allocate(size);
        if block.is_null() {
            // The process ends with this error, so nothing is freed.
            return Err(refused(size));
        }
        touch(block, size);
        // SAFETY: the array has an element for each size.
        unsafe { array.0.add(index).write(block) };
    }
    // Otherwise the compiler could remove the allocations.
    black_box(array.0);
    for index in 0..sizes.len() {
        // SAFETY: the element was written in the first loop; the block was allocated by this handle and is not used after this.
        unsafe { handle.deallocate(array.0.add(index).read()) };
    }
    // SAFETY: the array was allocated by this handle and is not used after this.
    unsafe { handle.deallocate_array(array.0.cast()) };
    drop(handle);
    subject.end();
    Ok(())
}

/// The array of blocks.
struct Array(*mut *mut u8);

impl Array {
    #[inline(always)]
    fn allocate(handle: &impl BlockAllocator, len: usize) -> Result<Self, String> {
        let array = handle.allocate_array(len * size_of::<*mut u8>());
        if array.is_null() { Err(refused(len * size_of::<*mut u8>())) } else { Ok(Self(array.cast())) }
    }
}

#[cold]
fn refused(size: usize) -> String {
    format!("no memory for {size} bytes")
}

/// Does a repeat in which every block is filled completely, and checked before it is freed. Returns their number.
fn verify<S: TestAllocator>(subject: &mut S, sizes: &[u32]) -> Result<u64, String> {
    if !S::HAS_BLOCKS {
        return Ok(0);
    }
    let handle = subject.begin();
    let mut blocks = Vec::with_capacity(sizes.len());
    for (index, size) in sizes.iter().enumerate() {
        let block = handle.allocate(*size as usize);
        if block.is_null() {
            return Err(refused(*size as usize));
        }
        // SAFETY: the block is live and has `size` bytes.
        unsafe { block.write_bytes(index as u8, *size as usize) };
        blocks.push(block);
    }
    for (index, (block, size)) in blocks.iter().zip(sizes).enumerate() {
        // SAFETY: the block is live, has `size` bytes, and all of them have been written.
        let bytes = unsafe { std::slice::from_raw_parts(*block, *size as usize) };
        if let Some(wrong) = bytes.iter().position(|byte| *byte != index as u8) {
            return Err(format!("block {index} of {size} bytes was overwritten at byte {wrong}"));
        }
        // SAFETY: the array was allocated by this handle and is not used after this.
        unsafe { handle.deallocate(*block) };
    }
    drop(handle);
    subject.end();
    Ok(sizes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::malloctest::allocator::{NoAllocator, ScopedArena, SystemMalloc};

    const SHAPE: WorkShape = WorkShape { threads: 2, repeats: 3, iterations: 500, lower: 1, upper: 300 };

    fn run_work<S: TestAllocator>(write: WriteMode) -> WorkResult {
        let measured = run::<S>(&SHAPE, write).unwrap();
        assert_eq!(measured.repeat_ns.len(), 3);
        assert!(measured.repeat_ns.iter().all(|ns| *ns > 0));
        assert!(measured.thread_ns <= 2 * measured.repeat_ns.iter().sum::<u64>());
        measured
    }

    #[test]
    fn all_allocators_do_the_same() {
        for write in [WriteMode::Nothing, WriteMode::First, WriteMode::All] {
            let malloc = run_work::<SystemMalloc>(write);
            let blocks = [
                malloc.verified,
                run_work::<highwater::Arena>(write).verified,
                run_work::<ScopedArena>(write).verified,
                run_work::<bumpalo::Bump>(write).verified,
            ];
            assert_eq!(blocks, [1000; 4]);
            let no_allocator = run_work::<NoAllocator>(write);
            assert_eq!((no_allocator.asked, no_allocator.verified), (malloc.asked, 0));
            assert!((3000 * 130..3000 * 170).contains(&malloc.asked));
        }
    }

    /// An allocator whose blocks overlap by one byte.
    struct OverlappingAllocator(Vec<u8>);
    struct OverlappingHandle(*mut u8, std::cell::Cell<usize>);

    impl TestAllocator for OverlappingAllocator {
        type Handle<'a> = OverlappingHandle;

        fn make(shape: &WorkShape) -> Self {
            OverlappingAllocator(vec![0; shape.iterations * shape.upper as usize + 16])
        }

        fn begin(&mut self) -> OverlappingHandle {
            OverlappingHandle(self.0.as_mut_ptr(), 0.into())
        }

        fn end(&mut self) {}
    }

    impl BlockAllocator for OverlappingHandle {
        fn allocate(&self, size: usize) -> *mut u8 {
            let offset = self.1.get();
            self.1.set(offset + size.max(2) - 1);
            self.0.wrapping_add(offset)
        }

        unsafe fn deallocate(&self, _block: *mut u8) {}
    }

    #[test]
    fn blocks_that_overlap_are_found() {
        let error = verify(&mut OverlappingAllocator::make(&SHAPE), &[32; 20]).unwrap_err();
        assert_eq!(error, "block 0 of 32 bytes was overwritten at byte 31");
    }

    /// An allocator without memory.
    struct OutOfMemoryAllocator;

    impl TestAllocator for OutOfMemoryAllocator {
        type Handle<'a> = OutOfMemoryAllocator;

        fn make(_: &WorkShape) -> Self {
            OutOfMemoryAllocator
        }

        fn begin(&mut self) -> OutOfMemoryAllocator {
            OutOfMemoryAllocator
        }

        fn end(&mut self) {}
    }

    impl BlockAllocator for OutOfMemoryAllocator {
        fn allocate(&self, _size: usize) -> *mut u8 {
            std::ptr::null_mut()
        }

        unsafe fn deallocate(&self, _block: *mut u8) {}
    }

    #[test]
    fn without_memory_there_is_an_error_and_no_deadlock() {
        let error = run::<OutOfMemoryAllocator>(&SHAPE, WriteMode::All).map(drop).unwrap_err();
        assert!(error.starts_with("no memory for "), "{error}");
    }
}
