//! What runs without a call of the program: before `main`, around forks and at the end of the process.

use crate::state::{self, MallocState};
use crate::stats;
use highwater::internal::sys::{OnceState, preserve_errno};

/// Before `main`, and before the constructors of all other libraries (see the build script).
extern "C" fn start() {
    preserve_errno(|| {
        if let OnceState::Ready(state) = state::get_or_init() {
            // First, so that `before_fork` is called last before a fork, and `after_fork` first after it: the handlers of other
            // libraries may wait for threads that allocate, or start some.
            // SAFETY: the functions may be called as long as the process lives: the library is never unloaded.
            unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) };
            stats::begin(state);
        }
    });
}

/// At the end of the process, after `main` and the functions that it registered.
extern "C" fn finish() {
    preserve_errno(|| state::get().map(stats::finish));
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

#[used]
#[unsafe(link_section = ".fini_array")]
static FINISH: extern "C" fn() = finish;

extern "C" fn before_fork() {
    if let Some(state) = state::get() {
        if let Some(pool) = &state.pool {
            // SAFETY: the calls of the pool have one guard at a time.
            unsafe { pool.free.lock_for_fork() };
        }
        state.heap.before_fork();
    }
}

extern "C" fn after_fork() {
    if let Some(state) = state::get() {
        unlock(state, false);
    }
}

extern "C" fn in_child() {
    if let Some(state) = state::get() {
        unlock(state, true);
        preserve_errno(|| stats::begin_in_child(state));
    }
}

fn unlock(state: &MallocState, is_child: bool) {
    // SAFETY: this thread, or the one that it is the copy of, called `before_fork`: both are registered together. It has no
    // guard, since no call of the allocator is running in it.
    unsafe {
        state.heap.after_fork(is_child);
        if let Some(pool) = &state.pool {
            pool.free.unlock_after_fork();
        }
    }
}
