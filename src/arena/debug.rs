//! [`DebugArena`]: the arena for finding bugs, and how it is built.

use super::arena_type::Arena;
use crate::builder::Builder;
use crate::fallible;
use crate::guard::{Event, EventSink};
use std::io::Write;

/// The arena for finding bugs: the same calls, limits, figures and errors as [`Arena`], and a guard behind every
/// allocation.
///
/// Each allocation has pages of its own and ends where they end; the page behind it is inaccessible. What a reset,
/// a rewind or the end of a scope frees becomes inaccessible (at the parent's next operation), and stays so for a number
/// of generations ([`GuardPolicy::generations`](crate::GuardPolicy::generations)). An access to either is reported with the
/// allocation that it belongs to, the call that made it, and the instruction; see [`guard`](crate::guard). The other bytes
/// of an allocation's pages are filled with a pattern, which is verified when the allocation is freed.
///
/// Blocks are not contiguous, `reset` continues at fresh addresses, and a block that is resized moves. Memory is
/// committed when it is allocated: nothing grows by a fault. An allocation costs a page of memory and one or two system
/// calls. Where memory cannot be protected (`portable` builds) it is an ordinary arena.
///
/// It is made by `default`, [`with_min_align`](Arena::with_min_align) or
/// [`Arena::builder().checked()`](Builder::checked); `new` is [`Arena`]'s alone.
///
/// ```
/// use highwater::{Arena, DebugArena};
///
/// let mut arena = DebugArena::default();
/// let (first, second) = (arena.alloc(1u64) as *const u64, arena.alloc(2u64) as *const u64);
/// # if cfg!(all(target_os = "linux", not(highwater_portable))) {
/// assert_ne!(first.addr() + 8, second.addr());
/// # }
/// arena.reset(); // from here on, following `first` is reported
///
/// let logged = Arena::builder().name("lexer").checked().log(true).build();
/// logged.alloc_str("written to standard error");
/// ```
pub type DebugArena = Arena<8, true>;

impl<const MIN_ALIGN: usize, const CHECKED: bool> Builder<Arena<MIN_ALIGN, CHECKED>> {
    /// A [`DebugArena`] with this minimum alignment.
    ///
    /// ```
    /// let arena = highwater::Arena::builder().limit(1 << 20).checked().build();
    /// arena.alloc(1u64);
    /// ```
    pub fn checked(self) -> Builder<Arena<MIN_ALIGN, true>> {
        self.retarget()
    }
}

impl<const MIN_ALIGN: usize> Builder<Arena<MIN_ALIGN, true>> {
    /// Whether to write a line to standard error for every allocation, growth and reset.
    ///
    /// ```
    /// let arena = highwater::Arena::builder().name("lexer").checked().log(true).build();
    /// arena.alloc(1u64); // a line on standard error
    /// ```
    pub fn log(self, log: bool) -> Self {
        // A standard error that is closed or full is no reason to fail.
        let to_stderr = |event: &Event<'_>| _ = writeln!(std::io::stderr(), "highwater: {event}");
        if log { self.log_to(to_stderr) } else { self.event_sink(None) }
    }

    /// Calls a function with every allocation, growth and reset, on the thread that made it and outside of
    /// any signal. It must not use the arena that the event is from: every call of that arena panics meanwhile. A panic of its own ends
    /// with its message, whatever it threw; the arena goes on.
    ///
    /// ```
    /// use highwater::Arena;
    /// use highwater::guard::EventKind;
    /// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    ///
    /// static BYTES: AtomicUsize = AtomicUsize::new(0);
    /// let builder = Arena::builder().checked().log_to(|event| {
    ///     if let EventKind::Allocated { size, .. } = event.what {
    ///         BYTES.fetch_add(size, Relaxed);
    ///     }
    /// });
    /// let arena = builder.build();
    /// arena.alloc([0u8; 100]);
    /// # if !cfg!(highwater_portable) {
    /// assert_eq!(BYTES.load(Relaxed), 100);
    /// # }
    /// ```
    pub fn log_to(self, sink: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.event_sink(Some(fallible::boxed(sink).map(|sink| sink as EventSink)))
    }
}
