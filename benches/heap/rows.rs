//! What is measured, in a contender's process.

use super::contenders::{ARENA, AT_ONCE};
use super::support::{Random, nanoseconds_each};
use highwater::Arena;
use highwater::heap::{Blocks, Bump, General, Heap, HeapPolicy, Stack};
use std::alloc::Layout;
use std::ffi::c_void;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// An allocator as C sees it.
#[derive(Clone, Copy)]
struct Functions {
    allocate: unsafe extern "C" fn(usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
}

impl Functions {
    #[inline]
    fn get(&self, size: usize) -> *mut u8 {
        // SAFETY: malloc.
        let block = unsafe { (self.allocate)(size) }.cast::<u8>();
        // SAFETY: it has at least a byte; null ends the benchmark here.
        unsafe { block.write(1) };
        block
    }

    /// A block that is not written to.
    #[inline]
    fn get_only(&self, size: usize) -> *mut u8 {
        // SAFETY: malloc.
        unsafe { (self.allocate)(size) }.cast()
    }

    #[inline]
    fn put(&self, block: *mut u8) {
        // SAFETY: it came from `get`.
        unsafe { (self.free)(block.cast()) }
    }
}

/// The heap behind our functions. It lives as long as the process.
static HEAP: AtomicPtr<Heap> = AtomicPtr::new(null_mut());

#[inline]
fn heap() -> &'static Heap {
    // SAFETY: set before the functions are called, and leaked.
    unsafe { &*HEAP.load(Relaxed) }
}

#[inline(never)]
unsafe extern "C" fn our_malloc(size: usize) -> *mut c_void {
    heap().allocate(size, 16).map_or(null_mut(), |block| block.as_ptr().cast())
}

#[inline(never)]
unsafe extern "C" fn our_free(block: *mut c_void) {
    if let Some(block) = NonNull::new(block.cast()) {
        // SAFETY: the caller's promise.
        let _ = unsafe { heap().deallocate(block) };
    }
}

fn functions(works_as: &str) -> Functions {
    let kind: HeapPolicy = match works_as {
        "general" => General::new().into(),
        AT_ONCE => General::new().retires_at_once().into(),
        "stack" => Stack::new().into(),
        "bump" => Bump::new().into(),
        "blocks" => Blocks::new().into(),
        _ => return Functions { allocate: libc::malloc, free: libc::free },
    };
    let heap = Heap::builder().name("bench").policy(kind).build();
    HEAP.store(Box::into_raw(Box::new(heap)), Release);
    Functions { allocate: our_malloc, free: our_free }
}

/// What a row does.
#[derive(Clone, Copy)]
pub enum Work {
    /// One block, freed at once.
    Pair { size: usize },
    /// So many blocks of a size, all of them freed in the order that they came in, or in one drawn by lot.
    Burst { size: usize, count: usize, is_shuffled: bool },
    /// The same for one block where the class has pages that are partly used.
    Amid { size: usize },
    /// Blocks of several sizes, freed from the last one to the first.
    Nested { depth: usize },
    /// One thread allocates, another frees.
    HandedOver,
    /// An array of pointers, blocks of 10 to 999 bytes, all freed in order; so many repeats. The program writes to the
    /// first byte of each, or to none.
    Malloctest { count: usize, repeats: usize, writes: bool },
}

impl Work {
    /// What is prepared outside the measured time, and then a round of it: nanoseconds for a block.
    fn ready(self, functions: Functions, quick: bool) -> Box<dyn FnMut() -> f64> {
        let times = |full: usize| if quick { full / 10 } else { full }.max(1);
        match self {
            Work::Pair { size } => {
                let n = times(2_000_000);
                Box::new(move || nanoseconds_each(n, || functions.put(black_box(functions.get(size)))))
            }
            Work::Burst { size, count, is_shuffled } => {
                let (order, turns) = (order(count, is_shuffled), times(2_000_000 / count));
                let mut blocks = vec![null_mut(); count];
                Box::new(move || bursts(functions, size, &order, &mut blocks, turns))
            }
            Work::Amid { size } => {
                let (order, turns, mut blocks) = (order(1, false), times(2_000_000), [null_mut()]);
                let kept: Vec<_> = (0..40_000).map(|_| functions.get(size)).collect();
                // One block of each page stays, and whatever pages there are have room.
                let all = kept.into_iter().enumerate();
                all.filter(|(index, _)| index % 1000 != 0).for_each(|(_, block)| functions.put(block));
                Box::new(move || bursts(functions, size, &order, &mut blocks, turns))
            }
            Work::Nested { depth } => {
                let mut random = Random(3);
                let sizes: Vec<usize> = (0..depth).map(|_| 16 + random.below(241) as usize).collect();
                let mut blocks = vec![null_mut(); depth];
                let turns = times(2_000_000 / depth);
                Box::new(move || {
                    let work = || {
                        for (block, &size) in blocks.iter_mut().zip(&sizes) {
                            *block = functions.get(size);
                        }
                        blocks.iter().rev().for_each(|&block| functions.put(block));
                    };
                    nanoseconds_each(turns, work) / depth as f64
                })
            }
            Work::HandedOver => {
                let count = times(1_000_000);
                Box::new(move || handed_over(functions, count))
            }
            Work::Malloctest { count, repeats, writes } => {
                let count = if quick { count / 10 } else { count };
                let sizes = malloctest_sizes(count);
                Box::new(move || {
                    let work = || {
                        let array = functions.get(count * size_of::<*mut u8>()).cast::<*mut u8>();
                        // SAFETY: an array of so many pointers, all of them written before any is read.
                        unsafe {
                            for (index, &size) in sizes.iter().enumerate() {
                                let block =
                                    if writes { functions.get(size) } else { functions.get_only(size) };
                                array.add(index).write(block);
                            }
                            (0..count).for_each(|index| functions.put(array.add(index).read()));
                        }
                        functions.put(array.cast());
                    };
                    nanoseconds_each(repeats, work) / count as f64
                })
            }
        }
    }

    /// malloctest with an arena instead: blocks go all at once.
    fn ready_in_arena(self, quick: bool) -> Box<dyn FnMut() -> f64> {
        let Work::Malloctest { count, repeats, writes } = self else {
            panic!("an arena is in malloctest only")
        };
        let count = if quick { count / 10 } else { count };
        let sizes = malloctest_sizes(count);
        let mut arena: Arena = Arena::new();
        Box::new(move || {
            let work = || {
                let array = arena.alloc_uninit_slice::<*mut u8>(count);
                for (pointer, &size) in array.iter_mut().zip(&sizes) {
                    let layout = Layout::from_size_align(size, 16).expect("a small size");
                    let block = arena.alloc_layout(layout);
                    if writes {
                        // SAFETY: it has at least a byte.
                        unsafe { block.write(1) };
                    }
                    pointer.write(block.as_ptr());
                }
                black_box(array);
                arena.reset();
            };
            nanoseconds_each(repeats, work) / count as f64
        })
    }
}

fn malloctest_sizes(count: usize) -> Vec<usize> {
    let mut random = Random(20);
    (0..count).map(|_| 10 + random.below(990) as usize).collect()
}

fn order(count: usize, is_shuffled: bool) -> Vec<usize> {
    let (mut order, mut random): (Vec<usize>, _) = ((0..count).collect(), Random(7));
    if is_shuffled {
        for index in (1..count).rev() {
            order.swap(index, random.below(index as u64 + 1) as usize);
        }
    }
    order
}

fn bursts(functions: Functions, size: usize, order: &[usize], blocks: &mut [*mut u8], turns: usize) -> f64 {
    let work = || {
        for block in blocks.iter_mut() {
            *block = functions.get(size);
        }
        order.iter().for_each(|&index| functions.put(blocks[index]));
    };
    nanoseconds_each(turns, work) / order.len() as f64
}

/// Two threads: one allocates, the other frees, through a ring.
fn handed_over(functions: Functions, count: usize) -> f64 {
    const RING: usize = 1024;
    let ring: Vec<AtomicPtr<u8>> = (0..RING).map(|_| AtomicPtr::new(null_mut())).collect();
    // Where the machine has other work to do the other thread may have to wait for its turn.
    let until = |is_so: &dyn Fn() -> bool| {
        while !is_so() {
            (0..100).for_each(|_| std::hint::spin_loop());
            if !is_so() {
                std::thread::yield_now();
            }
        }
    };
    nanoseconds_each(1, || {
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for index in 0..count {
                    let slot = &ring[index % RING];
                    if slot.load(Acquire).is_null() {
                        until(&|| !slot.load(Acquire).is_null());
                    }
                    functions.put(slot.swap(null_mut(), Acquire));
                }
            });
            for index in 0..count {
                let block = functions.get(64);
                let slot = &ring[index % RING];
                if !slot.load(Acquire).is_null() {
                    until(&|| slot.load(Acquire).is_null());
                }
                slot.store(block, Release);
            }
        });
    }) / count as f64
}

/// What a process is resident with, in KiB: now (`VmRSS`), and at most (`VmHWM`).
fn resident(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Works as a contender until the input ends.
pub fn serve(works_as: &str, work: Work, quick: bool) {
    let functions = functions(works_as);
    let mut lines = std::io::stdin().lock();
    let mut line = String::new();
    let (mut before, mut round) = (0.0, None);
    while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        line.clear();
        let round = round.get_or_insert_with(|| {
            before = resident("VmRSS");
            if works_as == ARENA { work.ready_in_arena(quick) } else { work.ready(functions, quick) }
        });
        let nanoseconds = round();
        println!("{nanoseconds} {}", (resident("VmHWM") - before) / 1024.0);
        let _ = std::io::stdout().flush();
    }
    if let (Work::Nested { depth }, false) = (work, HEAP.load(Relaxed).is_null()) {
        describe(functions, depth);
    }
}

/// One line on how a heap looks with the nested blocks in it, and with every other one of them freed.
fn describe(functions: Functions, depth: usize) {
    let mut random = Random(3);
    let blocks: Vec<_> = (0..depth).map(|_| functions.get(16 + random.below(241) as usize)).collect();
    let full = heap().stats();
    blocks.iter().step_by(2).for_each(|&block| functions.put(block));
    let half = heap().stats();
    println!(
        "{depth} deep {} live of {} used, the most live {}; every other one freed: {} live, {} free in {} runs, the longest {}",
        full.live_bytes,
        full.used,
        full.peak_live_bytes,
        half.live_bytes,
        half.free_bytes,
        half.free_runs,
        half.largest_free_run
    );
}
