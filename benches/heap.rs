//! The general heap beside the system's malloc, mimalloc and jemalloc: nanoseconds for a block that is allocated and
//! freed, in the patterns that tell allocators apart, and memory where it differs.
//!
//! Peers are loaded with `dlopen` if the system has them (Debian's `libmimalloc2.0` and `libjemalloc2`; a directory of
//! your own goes into `LD_LIBRARY_PATH`), and every contender is called through the same two function pointers.

mod support;

use highwater::heap::{General, Heap};
use std::ffi::{CStr, c_void};
use std::hint::black_box;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use support::{Options, Random, Table, nanoseconds_each, warm};

type Allocate = unsafe extern "C" fn(usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);

/// An allocator as C sees it.
#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    allocate: Allocate,
    free: Free,
}

/// The heap behind our two functions. It lives as long as the process.
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

const OURS: &str = "highwater general";

fn load(name: &'static str, files: &[&CStr], symbols: [&CStr; 2]) -> Option<Peer> {
    let handle = files.iter().find_map(|file| {
        // SAFETY: the libraries' constructors are known to be harmless.
        let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        (!handle.is_null()).then_some(handle)
    });
    let Some(handle) = handle else {
        // SAFETY: the text of the last failure; there was one.
        let why = unsafe { CStr::from_ptr(libc::dlerror()) }.to_string_lossy();
        println!("no {name} here, its rows are left out: {why}");
        return None;
    };
    // SAFETY: the handle is open, and stays so.
    let [allocate, free] = symbols.map(|symbol| unsafe { libc::dlsym(handle, symbol.as_ptr()) });
    if allocate.is_null() || free.is_null() {
        println!("{name} lacks a function: its rows are left out");
        return None;
    }
    // SAFETY: these are the functions' types.
    let (allocate, free) = unsafe {
        (
            std::mem::transmute::<*mut c_void, Allocate>(allocate),
            std::mem::transmute::<*mut c_void, Free>(free),
        )
    };
    Some(Peer { name, allocate, free })
}

fn peers() -> Vec<Peer> {
    let heap = Heap::builder().name("bench").policy(General::new()).build();
    HEAP.store(Box::into_raw(Box::new(heap)), Release);
    let ours = Peer { name: OURS, allocate: our_malloc, free: our_free };
    let system = Peer { name: "system malloc", allocate: libc::malloc, free: libc::free };
    let mimalloc = load(
        "mimalloc",
        &[c"libmimalloc.so.3", c"libmimalloc.so.2", c"libmimalloc.so.2.0", c"libmimalloc.so"],
        [c"mi_malloc", c"mi_free"],
    );
    let jemalloc = load("jemalloc", &[c"libjemalloc.so.2"], [c"malloc", c"free"]);
    [Some(ours), Some(system), mimalloc, jemalloc].into_iter().flatten().collect()
}

impl Peer {
    #[inline]
    fn get(&self, size: usize) -> *mut u8 {
        // SAFETY: malloc.
        let block = unsafe { (self.allocate)(size) }.cast::<u8>();
        // SAFETY: it has at least a byte; null ends the benchmark here.
        unsafe { block.write(1) };
        block
    }

    #[inline]
    fn put(&self, block: *mut u8) {
        // SAFETY: it came from `get`.
        unsafe { (self.free)(block.cast()) }
    }
}

/// Nanoseconds for a block in rounds of `order.len()` blocks of one size: all allocated, then freed in that order.
fn rounds(peer: Peer, size: usize, order: &[usize], times: usize) -> f64 {
    let mut blocks = vec![null_mut(); order.len()];
    let work = || {
        for block in &mut blocks {
            *block = peer.get(size);
        }
        for &index in order {
            peer.put(blocks[index]);
        }
    };
    nanoseconds_each(times, work) / order.len() as f64
}

fn fifo(count: usize) -> Vec<usize> {
    (0..count).collect()
}

fn shuffled(count: usize) -> Vec<usize> {
    let (mut order, mut random) = (fifo(count), Random(7));
    for index in (1..count).rev() {
        order.swap(index, random.below(index as u64 + 1) as usize);
    }
    order
}

/// One table: all contenders, the same measurement.
fn table(options: &Options, title: &str, peers: &[Peer], measure: impl Fn(Peer) -> f64 + Copy) {
    let mut table = Table::new(options, title, "ns a pair", 15);
    for &peer in peers {
        table.row(peer.name, move || measure(peer));
    }
    if let Some(results) = table.run() {
        results.compare(&[OURS]);
        for peer in peers.iter().filter(|peer| peer.name != OURS) {
            results.aim(OURS, peer.name, 0.95);
        }
    }
}

/// Two threads: one allocates, the other frees, through a ring.
fn handed_over(peer: Peer, count: usize) -> f64 {
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
                    peer.put(slot.swap(null_mut(), Acquire));
                }
            });
            for index in 0..count {
                let block = peer.get(64);
                let slot = &ring[index % RING];
                if !slot.load(Acquire).is_null() {
                    until(&|| slot.load(Acquire).is_null());
                }
                slot.store(block, Release);
            }
        });
    }) / count as f64
}

/// `malloctest`: an array of pointers, random sizes, all freed in order.
fn malloctest(peer: Peer, count: usize) -> f64 {
    let mut random = Random(20);
    let sizes: Vec<usize> = (0..count).map(|_| 10 + random.below(990) as usize).collect();
    let mut blocks = vec![null_mut(); count];
    nanoseconds_each(1, || {
        for (block, &size) in blocks.iter_mut().zip(&sizes) {
            *block = peer.get(size);
        }
        for &block in &blocks {
            peer.put(block);
        }
    }) / count as f64
}

/// The most memory that the process has had, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

const CHILD: &str = "HIGHWATER_BENCH_HEAP";

/// In a process of its own, so that the peak is this contender's: 20 repeats of malloctest.
fn child(peer: &str, peers: &[Peer]) {
    let count = std::env::var("COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let peer = peers.iter().find(|candidate| candidate.name == peer).expect("the contender is here");
    let times: Vec<f64> = (0..20).map(|_| malloctest(*peer, count)).collect();
    println!("RESULT {} {}", times.iter().sum::<f64>() / times.len() as f64, peak());
}

fn main() {
    // jemalloc wants more thread-local memory than glibc keeps ready for libraries that come later.
    const TUNABLES: &str = "GLIBC_TUNABLES";
    if std::env::var_os(TUNABLES).is_none() {
        let this = std::env::current_exe().expect("this program has a file");
        let arguments = std::env::args_os().skip(1);
        let mut again = Command::new(this);
        again.args(arguments).env(TUNABLES, "glibc.rtld.optional_static_tls=16384");
        panic!("it cannot be started again: {}", again.exec());
    }
    if let Ok(peer) = std::env::var(CHILD) {
        return child(&peer, &peers());
    }
    let options = Options::parse();
    let peers = peers();
    let peers = &peers[..];
    let times = |full: usize| options.size(full, full / 10).max(1);

    let n = times(2_000_000);
    table(&options, "One 32-byte block in a loop", peers, |peer| {
        nanoseconds_each(n, || peer.put(black_box(peer.get(32))))
    });
    table(&options, "Burst of one 16-byte block, FIFO", peers, |peer| rounds(peer, 16, &fifo(1), n));
    table(&options, "The same with several pages of the class", peers, |peer| {
        let kept: Vec<_> = (0..40_000).map(|_| peer.get(16)).collect();
        // One block of each page stays, and whatever pages there are have room.
        let (stay, go): (Vec<_>, Vec<_>) =
            kept.into_iter().enumerate().partition(|(index, _)| index % 1000 == 0);
        go.into_iter().for_each(|(_, block)| peer.put(block));
        let result = rounds(peer, 16, &fifo(1), n);
        stay.into_iter().for_each(|(_, block)| peer.put(block));
        result
    });
    for (title, size, count, order) in [
        ("4096 × 16, FIFO", 16, 4096, fifo as fn(usize) -> Vec<usize>),
        ("20,000 × 64, random", 64, 20_000, shuffled),
        ("20,000 × 256, random", 256, 20_000, shuffled),
        ("5,000 × 1024, random", 1024, 5_000, shuffled),
        ("1,000 × 100 KiB, FIFO", 100 << 10, 1_000, fifo),
    ] {
        let order = order(count);
        let turns = times(2_000_000 / count);
        table(&options, title, peers, |peer| rounds(peer, size, &order, turns));
    }
    let n = times(1_000_000);
    table(&options, "Two threads, one allocates, the other frees", peers, |peer| handed_over(peer, n));

    let count = options.size(1_000_000, 100_000);
    warm(2 << 30);
    println!(
        "\nmalloctest, 20 repeats of {count} blocks of 10 to 999 bytes, each contender in its own process"
    );
    for peer in peers {
        let this = std::env::current_exe().expect("this program has a file");
        let output = Command::new(this).env(CHILD, peer.name).env("COUNT", count.to_string()).output();
        let output = output.expect("it runs again").stdout;
        let output = String::from_utf8_lossy(&output);
        let result =
            output.lines().find_map(|line| line.strip_prefix("RESULT ")).unwrap_or("nothing nothing");
        let (time, peak) = result.split_once(' ').unwrap_or((result, "?"));
        println!("  {:20} {time:.6} ns a pair, peak {peak:.8} MiB", peer.name);
    }
}
