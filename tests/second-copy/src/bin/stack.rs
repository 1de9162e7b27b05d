//! Says how many bytes of an alternate stack growth takes, looks at what memory there is included, besides the kernel's frame.

use highwater::{Region, fault};
use std::ffi::c_void;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

const PATTERN: u8 = 0xa5;
const BYTES: usize = 256 << 10;
static ENTRY: AtomicUsize = AtomicUsize::new(0);

/// A handler that asks the library's, and remembers where the stack stood.
unsafe extern "C" fn ask(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let here = 0u8;
    ENTRY.store((&raw const here).addr(), SeqCst);
    // SAFETY: these are a handler's arguments.
    if !unsafe { fault::try_handle(signal, info, context) } {
        // SAFETY: _exit has no preconditions.
        unsafe { libc::_exit(42) };
    }
}

fn main() {
    fault::install().expect("the handler can be installed");
    let memory = vec![PATTERN; BYTES].leak();
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: BYTES };
    // SAFETY: the stack is memory that is never freed, zero is a valid action, and the handler is signal-safe.
    unsafe {
        assert_eq!(libc::sigaltstack(&stack, std::ptr::null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ask as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()), 0);
    }
    let region = Region::builder().reserve(1 << 30).build();
    for offset in (0..128 << 20).step_by(4096) {
        // SAFETY: the offset is in the reservation.
        unsafe { region.as_ptr().add(offset).write_volatile(1) };
    }
    assert!(region.stats().faults > 10);
    let start = memory.as_ptr();
    // SAFETY: no handler runs now. (Volatile: handlers wrote what no reference knows of.)
    let low =
        (0..BYTES).find(|&at| unsafe { start.add(at).read_volatile() } != PATTERN).expect("it was used");
    println!("{}", ENTRY.load(SeqCst) - (start.addr() + low));
}
