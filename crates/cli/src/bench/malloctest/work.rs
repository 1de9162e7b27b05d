//! The work: an array of blocks is filled and emptied, with the clock running.

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
    plan::{Shape, Write},
    sizes::Sizes,
    subject::{Subject, Take},
    usage::Usage,
};

/// Blocks of a verifying repeat, at most.
const VERIFIED: usize = 100_000;

/// What all threads measured together.
#[derive(Default)]
pub struct Measured {
    /// For each repeat, from the first start to the last end.
    pub repeat_ns: Vec<u64>,
    /// All threads' times.
    pub thread_ns: u64,
    /// What the process used in the repeats.
    pub usage: Usage,
    /// Bytes that were asked for in blocks.
    pub asked: u64,
    /// When the last repeat was over.
    pub peak_rss: Option<u64>,
    /// Blocks that were filled and found whole afterwards.
    pub verified: u64,
}

/// Where the threads of a run meet.
struct Meeting {
    barrier: Barrier,
    /// For each repeat: the first start, the last end.
    spans: Vec<(AtomicU64, AtomicU64)>,
}

/// All repeats in all threads. The calling thread is one of these: some allocators treat a process's first thread
/// better than others.
pub fn run<S: Subject>(shape: &Shape, write: Write) -> Result<Measured, String> {
    let spans = (0..shape.repeats).map(|_| (AtomicU64::new(u64::MAX), AtomicU64::new(0))).collect();
    let meeting = Meeting { barrier: Barrier::new(shape.threads), spans };
    let mut measured = thread::scope(|scope| {
        let others: Vec<_> = (1..shape.threads)
            .map(|thread| {
                let meeting = &meeting;
                scope.spawn(move || one_thread::<S>(shape, write, thread, meeting))
            })
            .collect();
        let mut measured = one_thread::<S>(shape, write, 0, &meeting);
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
    measured.repeat_ns = meeting
        .spans
        .iter()
        .map(|(start, end)| end.load(Ordering::Relaxed) - start.load(Ordering::Relaxed))
        .collect();
    Ok(measured)
}

fn one_thread<S: Subject>(
    shape: &Shape,
    write: Write,
    thread: usize,
    meeting: &Meeting,
) -> Result<Measured, String> {
    let mut measured = Measured::default();
    let mut subject = S::make(shape);
    let mut sizes = Sizes::new(shape).map_err(|error| format!("no memory for the sizes: {error}"));
    let mut failure = None;
    for (repeat, span) in meeting.spans.iter().enumerate() {
        // Whoever has failed still has to meet the others.
        let drawn = sizes.as_mut().map(|sizes| sizes.draw(thread, repeat)).unwrap_or_default();
        measured.asked += drawn.iter().map(|size| u64::from(*size)).sum::<u64>();
        meeting.barrier.wait();
        // One thread asks what the process uses, while the others wait to begin or to draw.
        let before = (thread == 0).then(Usage::now);
        meeting.barrier.wait();
        let start = now_ns();
        let done = match write {
            Write::Nothing => once(&mut subject, drawn, |_, _| {}),
            // SAFETY: `once` passes blocks of its own, of at least one byte.
            Write::First => once(&mut subject, drawn, |block, _| unsafe { block.write(1) }),
            // SAFETY: `once` passes blocks of its own, and their sizes.
            Write::All => once(&mut subject, drawn, |block, size| unsafe { block.write_bytes(1, size) }),
        };
        let end = now_ns();
        span.0.fetch_min(start, Ordering::Relaxed);
        span.1.fetch_max(end, Ordering::Relaxed);
        measured.thread_ns += end - start;
        failure = failure.or(done.err());
        meeting.barrier.wait();
        if let Some(before) = before {
            measured.usage = measured.usage + (Usage::now() - before);
        }
    }
    measured.peak_rss = crate::machine::peak_rss();
    let mut sizes = sizes?;
    let drawn = sizes.draw(thread, 0);
    measured.verified = verify(&mut subject, &drawn[..drawn.len().min(VERIFIED)])?;
    failure.map_or(Ok(measured), Err)
}

/// One repeat of one thread.
#[inline(never)]
fn once<S: Subject>(subject: &mut S, sizes: &[u32], touch: impl Fn(*mut u8, usize)) -> Result<(), String> {
    let taker = subject.begin();
    let array = Array::take(&taker, sizes.len())?;
    for (at, size) in sizes.iter().enumerate() {
        let size = *size as usize;
        let block = taker.take(size);
        if block.is_null() {
            // The process ends with this error, and its memory with it.
            return Err(refused(size));
        }
        touch(block, size);
        // SAFETY: there is room for as many as there are sizes.
        unsafe { array.0.add(at).write(block) };
    }
    // Blocks that nobody looks at need not be made.
    black_box(array.0);
    for at in 0..sizes.len() {
        // SAFETY: written above, from this taker, and not used after this.
        unsafe { taker.give_back(array.0.add(at).read()) };
    }
    // SAFETY: from this taker, and done with.
    unsafe { taker.give_back_array(array.0.cast()) };
    drop(taker);
    subject.end();
    Ok(())
}

/// The array of blocks.
struct Array(*mut *mut u8);

impl Array {
    #[inline(always)]
    fn take(taker: &impl Take, len: usize) -> Result<Self, String> {
        let array = taker.take_array(len * size_of::<*mut u8>());
        if array.is_null() { Err(refused(len * size_of::<*mut u8>())) } else { Ok(Self(array.cast())) }
    }
}

#[cold]
fn refused(size: usize) -> String {
    format!("no memory for {size} bytes")
}

/// A repeat in which every block is filled to its end, and looked at before it is freed. Tells how many.
fn verify<S: Subject>(subject: &mut S, sizes: &[u32]) -> Result<u64, String> {
    if !S::HAS_BLOCKS {
        return Ok(0);
    }
    let taker = subject.begin();
    let mut blocks = Vec::with_capacity(sizes.len());
    for (at, size) in sizes.iter().enumerate() {
        let block = taker.take(*size as usize);
        if block.is_null() {
            return Err(refused(*size as usize));
        }
        // SAFETY: the block is ours, and has so many bytes.
        unsafe { block.write_bytes(at as u8, *size as usize) };
        blocks.push(block);
    }
    for (at, (block, size)) in blocks.iter().zip(sizes).enumerate() {
        // SAFETY: the block is ours, has so many bytes, and all of them were written.
        let bytes = unsafe { std::slice::from_raw_parts(*block, *size as usize) };
        if let Some(wrong) = bytes.iter().position(|byte| *byte != at as u8) {
            return Err(format!("block {at} of {size} bytes was overwritten at its byte {wrong}"));
        }
        // SAFETY: from this taker, and done with.
        unsafe { taker.give_back(*block) };
    }
    drop(taker);
    subject.end();
    Ok(sizes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::malloctest::subject::{Malloc, Nobody, Scoped};

    const SHAPE: Shape = Shape { threads: 2, repeats: 3, iterations: 500, lower: 1, upper: 300 };

    fn done<S: Subject>(write: Write) -> Measured {
        let measured = run::<S>(&SHAPE, write).unwrap();
        assert_eq!(measured.repeat_ns.len(), 3);
        assert!(measured.repeat_ns.iter().all(|ns| *ns > 0));
        assert!(measured.thread_ns <= 2 * measured.repeat_ns.iter().sum::<u64>());
        measured
    }

    #[test]
    fn everybody_does_the_same() {
        for write in [Write::Nothing, Write::First, Write::All] {
            let malloc = done::<Malloc>(write);
            let blocks = [
                malloc.verified,
                done::<highwater::Arena>(write).verified,
                done::<Scoped>(write).verified,
                done::<bumpalo::Bump>(write).verified,
            ];
            assert_eq!(blocks, [1000; 4]);
            let nobody = done::<Nobody>(write);
            assert_eq!((nobody.asked, nobody.verified), (malloc.asked, 0));
            assert!((3000 * 130..3000 * 170).contains(&malloc.asked));
        }
    }

    /// Its blocks overlap by a byte.
    struct Careless(Vec<u8>);
    struct Overlapping(*mut u8, std::cell::Cell<usize>);

    impl Subject for Careless {
        type Taker<'a> = Overlapping;

        fn make(shape: &Shape) -> Self {
            Careless(vec![0; shape.iterations * shape.upper as usize + 16])
        }

        fn begin(&mut self) -> Overlapping {
            Overlapping(self.0.as_mut_ptr(), 0.into())
        }

        fn end(&mut self) {}
    }

    impl Take for Overlapping {
        fn take(&self, size: usize) -> *mut u8 {
            let at = self.1.get();
            self.1.set(at + size.max(2) - 1);
            self.0.wrapping_add(at)
        }

        unsafe fn give_back(&self, _block: *mut u8) {}
    }

    #[test]
    fn blocks_that_overlap_are_found() {
        let why = verify(&mut Careless::make(&SHAPE), &[32; 20]).unwrap_err();
        assert_eq!(why, "block 0 of 32 bytes was overwritten at its byte 31");
    }

    /// It has nothing.
    struct Empty;

    impl Subject for Empty {
        type Taker<'a> = Empty;

        fn make(_: &Shape) -> Self {
            Empty
        }

        fn begin(&mut self) -> Empty {
            Empty
        }

        fn end(&mut self) {}
    }

    impl Take for Empty {
        fn take(&self, _size: usize) -> *mut u8 {
            std::ptr::null_mut()
        }

        unsafe fn give_back(&self, _block: *mut u8) {}
    }

    #[test]
    fn no_memory_is_said_and_nobody_waits_for_ever() {
        let why = run::<Empty>(&SHAPE, Write::All).map(drop).unwrap_err();
        assert!(why.starts_with("no memory for "), "{why}");
    }
}
