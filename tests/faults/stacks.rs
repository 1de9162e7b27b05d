//! Growth where there is little: stack, or time left in a thread.
#![cfg(target_os = "linux")]

use crate::support;
use core::ffi::c_void;
use highwater::oom::{Answer, Injection, Response};
use highwater::{Growth, OutOfMemory, Region, fault};
use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::raw::{self, get, page, put};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("what a growth takes", what_a_growth_takes),
    ("an alternate stack", growth_on_an_alternate_stack),
    ("a hook that fits", || hook_that_takes::<{ 40 << 10 }>()),
    ("a hook that overflows", || hook_that_takes::<{ 72 << 10 }>()),
];

/// Grows a region a hundred times from a thread of C's, which has no alternate stack.
extern "C" fn grow_a_hundred_times(region: *mut c_void) -> *mut c_void {
    // SAFETY: the thread that started us keeps the region until we end.
    let region = unsafe { &*region.cast::<Region>() };
    for i in 0..100 {
        put(region, i * page(), 1);
    }
    std::ptr::null_mut()
}

#[test]
fn a_stack_of_16_kib_is_enough() {
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(page())).build();
    // SAFETY: sysconf has no preconditions.
    let least = unsafe { libc::sysconf(libc::_SC_THREAD_STACK_MIN) };
    let size = usize::try_from(least).unwrap_or(0).max(16 << 10);
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: everything is initialised before it is used, and the region outlives the thread.
    unsafe {
        assert_eq!(libc::pthread_attr_init(attributes.as_mut_ptr()), 0);
        assert_eq!(libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), size), 0);
        let argument = (&raw const region).cast_mut().cast();
        let started =
            libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), grow_a_hundred_times, argument);
        assert_eq!(started, 0);
        assert_eq!(libc::pthread_join(thread.assume_init(), std::ptr::null_mut()), 0);
    }
    assert_eq!(region.stats().faults, 100);
}

/// Grows a region when its thread ends.
struct AtTheEnd(Arc<Region>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        for i in 0..100 {
            put(&self.0, i * page(), 7);
        }
    }
}

#[test]
fn a_thread_local_destructor_may_grow() {
    thread_local!(static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) });
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(page())).build();
    let region = Arc::new(region);
    let theirs = AtTheEnd(region.clone());
    std::thread::spawn(|| LAST.set(Some(theirs))).join().unwrap();
    assert_eq!((region.stats().faults, get(&region, 99 * page())), (100, 7));
}

#[test]
fn a_growth_takes_little_stack() {
    if support::has_faults() {
        support::child("an alternate stack").assert_success();
        let ended = support::child("what a growth takes");
        ended.assert_success();
        // The harness has written half a line before.
        let (_, figure) = ended.stdout.split_once("bytes: ").expect("the child says a figure");
        let bytes: usize = figure.trim_end().parse().unwrap();
        // Unoptimised code keeps everything in memory, several times over.
        let most = if cfg!(debug_assertions) { 4096 } else { OPTIMISED };
        assert!((1..=most).contains(&bytes), "a growth took {bytes} bytes of stack");
    }
}

/// What the documentation says, in `docs/signals.md` for one.
const OPTIMISED: usize = 1536;

/// Optimised code is what the figure is of, whatever these tests are built as.
#[test]
fn an_optimised_growth_takes_what_is_documented() {
    if support::has_faults() {
        let built = support::build_once(&["--release", "--manifest-path", "tests/second-copy/Cargo.toml"]);
        let ended = support::run(std::process::Command::new(built.join("stack")));
        ended.assert_success();
        let bytes: usize = ended.stdout.trim_end().parse().unwrap();
        assert!((1..=OPTIMISED).contains(&bytes), "a growth took {bytes} bytes of stack");
    }
}

/// An alternate stack that ends in an inaccessible page.
struct SignalStack {
    start: *mut u8,
    size: usize,
}

const PATTERN: u8 = 0xa5;

impl SignalStack {
    fn install(size: usize) -> Self {
        let len = size.next_multiple_of(page());
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping whose first page is made a guard; it is never unmapped.
        unsafe {
            let map = libc::mmap(std::ptr::null_mut(), len + page(), access, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(map, page(), libc::PROT_NONE), 0);
            let start = map.cast::<u8>().add(page());
            start.write_bytes(PATTERN, len);
            let stack = libc::stack_t { ss_sp: start.cast(), ss_flags: 0, ss_size: size };
            assert_eq!(libc::sigaltstack(&stack, std::ptr::null_mut()), 0);
            SignalStack { start, size }
        }
    }

    /// The lowest address that was written to.
    fn low(&self) -> usize {
        // SAFETY: the stack is mapped for good, and no handler runs on it now.
        let bytes = unsafe { std::slice::from_raw_parts(self.start, self.size) };
        self.start.addr() + bytes.iter().take_while(|&&byte| byte == PATTERN).count()
    }
}

/// What the kernel's frame needs at most on this machine.
fn kernel_frame() -> usize {
    // SAFETY: getauxval has no preconditions.
    let told = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    told.max(libc::MINSIGSTKSZ)
}

/// About what the alternate stack of std leaves.
fn growth_on_an_alternate_stack() {
    let stack = SignalStack::install(kernel_frame() + 5120);
    let region = raw::grown(1000);
    assert_eq!(region.stats().faults, 1000);
    let used = stack.start.addr() + stack.size - stack.low();
    assert!(used > 256, "the growths ran on that stack");
}

static ENTRY: AtomicUsize = AtomicUsize::new(0);

/// A handler that asks ours, and remembers where the stack stood.
unsafe extern "C" fn ask(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let here = 0u8;
    ENTRY.store((&raw const here).addr(), SeqCst);
    // SAFETY: these are a handler's arguments.
    if !unsafe { fault::try_handle(signal, info.cast(), context) } {
        raw::exit_now(42);
    }
}

fn what_a_growth_takes() {
    fault::install().unwrap();
    let stack = SignalStack::install(kernel_frame() + (64 << 10));
    raw::set_action(ask as raw::Handler as usize, libc::SA_SIGINFO | libc::SA_ONSTACK, &[]);
    let region = Region::builder().reserve(1 << 30).build();
    (0..128 << 20).step_by(page()).for_each(|offset| put(&region, offset, 1));
    assert!(region.stats().faults > 10);
    println!("bytes: {}", ENTRY.load(SeqCst) - stack.low());
}

/// Conservative collectors and leak checkers read all of it, as far as the program headers say that it is writable.
#[test]
fn all_static_memory_stays_readable() {
    extern "C" fn collect(info: *mut libc::dl_phdr_info, _: usize, ranges: *mut c_void) -> i32 {
        // SAFETY: the loader's own structure, and the vector that the test waits with.
        let (info, ranges) = unsafe { (&*info, &mut *ranges.cast::<Vec<std::ops::Range<usize>>>()) };
        // SAFETY: so many headers are there.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let data = headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0);
        ranges.extend(data.map(|header| {
            let start = (info.dlpi_addr + header.p_vaddr) as usize;
            start..start + header.p_memsz as usize
        }));
        0
    }
    if !support::has_faults() {
        return;
    }
    fault::install().unwrap();
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    let callback = collect as unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> i32;
    // SAFETY: the callback gets the vector.
    unsafe { libc::dl_iterate_phdr(Some(callback), (&raw mut ranges).cast()) };
    assert!(!ranges.is_empty());
    for mapping in ranges.into_iter().flat_map(support::maps::mappings) {
        assert!(mapping.protection.starts_with('r'), "{mapping:?}");
    }
}

#[test]
fn a_hook_that_overflows_its_stack_ends_the_process_there() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("a hook that fits");
    assert_eq!(ended.status.code(), Some(7), "{ended:#?}");
    let ended = support::child("a hook that overflows");
    assert!(ended.stdout.contains("in the hook"), "{ended:#?}");
    ended.assert_signal(libc::SIGSEGV);
}

/// A hook that writes to so many bytes of its stack.
fn hook_that_takes<const BYTES: usize>() {
    fn hook<const BYTES: usize>(_: &OutOfMemory) -> Answer {
        // SAFETY: the text is readable memory.
        unsafe { libc::write(1, c"in the hook\n".as_ptr().cast(), 12) };
        take::<BYTES>();
        raw::exit_now(7)
    }
    // (Large frames are touched when the function begins.)
    #[inline(never)]
    fn take<const BYTES: usize>() {
        let room = [1u8; BYTES];
        std::hint::black_box(&room);
    }
    // SAFETY: it writes to memory of its own.
    let response = unsafe { Response::hook(hook::<BYTES>) };
    let region = Region::builder().reserve(64 << 20).head(page()).on_refusal(response);
    let region = region.inject(Injection::after(0)).build();
    put(&region, 32 << 20, 1);
}
