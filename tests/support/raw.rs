//! Touching memory with nothing in between, and the signals around that.

use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use highwater::Region;
use std::mem::MaybeUninit;

/// The page size in bytes.
pub fn page() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("the page size is known")
}

/// Writes a byte of a region, committed or not.
#[track_caller]
pub fn put(region: &Region, offset: usize, byte: u8) {
    assert!(offset < region.reserved_bytes());
    // SAFETY: the byte lies in the reservation; the tests using this share no byte between threads.
    unsafe { region.as_ptr().add(offset).write_volatile(byte) };
}

/// Reads a byte of a region, committed or not.
#[track_caller]
pub fn get(region: &Region, offset: usize) -> u8 {
    assert!(offset < region.reserved_bytes());
    // SAFETY: the byte lies in the reservation.
    unsafe { region.as_ptr().add(offset).read_volatile() }
}

/// Writes to any address: what the tests expect to fault.
pub fn write_to(address: usize) {
    // SAFETY: only given addresses that fault, or that the caller mapped for this.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
}

/// A region of 64 MiB that grew by a number of faults, one page each.
pub fn grown(faults: usize) -> Region {
    let page = page();
    let region =
        Region::builder().reserve(64 << 20).head(page).growth(highwater::Growth::Fixed(page)).build();
    for i in 1..=faults {
        put(&region, i * page, 1);
    }
    assert_eq!(region.stats().faults, faults as u64);
    region
}

/// A page of nobody's that a fault handler may open with [`open_wild`]; one per process.
static WILD: AtomicUsize = AtomicUsize::new(0);

/// The address of a byte in the wild page, which is inaccessible again.
pub fn wild() -> usize {
    if WILD.load(SeqCst) == 0 {
        let (none, private) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping overlaps nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), page(), none, private, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        WILD.store(start.expose_provenance(), SeqCst);
    }
    protect_wild(libc::PROT_NONE);
    WILD.load(SeqCst) + 123
}

/// Makes the wild page accessible; signal-safe.
pub fn open_wild() {
    protect_wild(libc::PROT_READ | libc::PROT_WRITE);
}

fn protect_wild(access: c_int) {
    let start = std::ptr::with_exposed_provenance_mut::<c_void>(WILD.load(SeqCst));
    // SAFETY: the page is ours, and no reference points into it.
    unsafe { libc::mprotect(start, page(), access) };
}

/// A handler as `SA_SIGINFO` wants it.
pub type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Sets the action of SIGSEGV, as a program in C would; the one before is returned. The mask is a list of
/// signals.
pub fn set_action(action: usize, flags: c_int, mask: &[c_int]) -> libc::sigaction {
    let mut new = MaybeUninit::<libc::sigaction>::zeroed();
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zero is a valid action; the callers' functions are signal-safe and match their flags.
    unsafe {
        let new = new.assume_init_mut();
        (new.sa_sigaction, new.sa_flags) = (action, flags);
        libc::sigemptyset(&mut new.sa_mask);
        for &signal in mask {
            libc::sigaddset(&mut new.sa_mask, signal);
        }
        assert_eq!(libc::sigaction(libc::SIGSEGV, new, old.as_mut_ptr()), 0);
        old.assume_init()
    }
}

/// Whether a signal is blocked on this thread; signal-safe.
pub fn is_blocked(signal: c_int) -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: no new set is given, and there is room for the old one.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr());
        libc::sigismember(set.as_ptr(), signal) == 1
    }
}

/// Ends the process at once from inside a signal.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Forks, runs `child` in the new process and returns how that ended, as `waitpid` says. The child ends
/// with 0 when the closure returns, and with 101 when it panics.
pub fn forked(child: impl FnOnce()) -> c_int {
    let mut status = 0;
    // SAFETY: the child runs the closure only, which uses what is allowed after a fork of threads, and
    // leaves by _exit.
    unsafe {
        match libc::fork() {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
                libc::_exit(if ended.is_ok() { 0 } else { 101 })
            }
            pid => assert_eq!(libc::waitpid(pid, &mut status, 0), pid),
        }
    }
    status
}
