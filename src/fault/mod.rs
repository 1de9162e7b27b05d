//! The fault engine: the handler of SIGSEGV.
//!
//! [`install`] is called by every builder, so most programs need nothing of this module. It is for
//! programs that install SIGSEGV handlers themselves, block signals, or own the handler and want to ask us
//! ([`try_handle`]).
//!
//! A debugger has to pass growth without a stop (`handle SIGSEGV nostop noprint pass` in gdb), which would pass real
//! crashes, too. So a function with the symbol `highwater_foreign_fault` is called for every SIGSEGV that is not growth of
//! ours, with the handler's three arguments, before the next handler gets it: `break highwater_foreign_fault`.
//!
//! With the `explicit` engine the same functions exist and return that there is nothing to handle.
//!
//! The pages [signals](crate::guide::signals) and [debugging](crate::guide::debugging) have the details.

#[cfg(highwater_fault)]
mod action;
#[cfg(highwater_fault)]
mod chain;
#[cfg(highwater_fault)]
mod context;
#[cfg(highwater_fault)]
mod entry;
#[cfg(highwater_fault)]
mod handler;
#[cfg_attr(highwater_fault, path = "install.rs")]
#[cfg_attr(not(highwater_fault), path = "absent.rs")]
mod imp;
#[cfg(highwater_fault)]
mod pass;
#[cfg(highwater_fault)]
mod repeat;

pub use crate::policy::Engine;
pub(crate) use imp::debug_check_thread;
pub use imp::{ensure_front, install, is_front, is_thread_prepared, prepare_thread, try_handle};

/// The growth engine of this build, which regions have unless another one is chosen when they are made
/// ([`Builder::engine`](crate::Builder::engine)). Under valgrind the default is [`RegionEngine::Paged`](crate::RegionEngine::Paged).
pub const fn engine() -> Engine {
    if cfg!(highwater_fault) { Engine::Fault } else { Engine::Explicit }
}
