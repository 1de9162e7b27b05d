//! The events of a checked arena.

use core::panic::Location;

/// One thing that happened in a [`DebugArena`](crate::DebugArena). Its `Display` is one line.
///
/// ```
/// use highwater::Arena;
/// use highwater::guard::EventKind;
///
/// let builder = Arena::builder().name("lexer").checked().log_to(|event| match event.what {
///     EventKind::Allocated { size, caller, .. } => println!("{}: {size} bytes for {caller}", event.arena),
///     EventKind::Reset { allocations } => println!("{}: {allocations} given up", event.arena),
///     _ => {}
/// });
/// builder.build().alloc(1);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What happened.
    pub what: EventKind,
    /// The arena's name, empty if it has none.
    pub arena: &'a str,
    /// The number of the arena's region.
    pub region: u64,
    /// The generation; see [`Allocation::generation`](super::Allocation::generation).
    pub generation: u32,
    /// The address of the region's first byte.
    pub start: usize,
    /// The address where the next allocation is tried.
    pub current: usize,
    /// The address where the committed part ends.
    pub end: usize,
    /// Bytes in use, as an unchecked arena would count them.
    pub used: usize,
}

/// What happened.
///
/// ```
/// use highwater::guard::EventKind;
///
/// assert!(matches!(EventKind::Grown { bytes: 4096 }, EventKind::Grown { bytes } if bytes > 0));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// An allocation was made.
    Allocated {
        /// Its address.
        address: usize,
        /// Its size in bytes.
        size: usize,
        /// Its alignment in bytes.
        align: usize,
        /// The number of allocations before it.
        ordinal: u64,
        /// The call that made it.
        caller: &'static Location<'static>,
    },
    /// The last allocation got another size, and with it another address.
    Resized {
        /// Its address now.
        address: usize,
        /// Its size before, in bytes.
        from: usize,
        /// Its size now, in bytes.
        to: usize,
        /// The number of allocations before it.
        ordinal: u64,
    },
    /// One allocation was freed.
    Freed {
        /// Its address.
        address: usize,
        /// Its size in bytes.
        size: usize,
        /// The number of allocations before it.
        ordinal: u64,
    },
    /// The frontier moved.
    Grown {
        /// By how many bytes.
        bytes: usize,
    },
    /// Everything was given up: by a reset, or by the end of a scope on an arena without allocations of its own.
    Reset {
        /// How many allocations lived until then.
        allocations: u64,
    },
    /// Everything after some position was given up: a scope ended, or `reset_to` was called.
    Rewound {
        /// How many allocations those were.
        allocations: u64,
    },
    /// The system allows few more mappings: from now on one allocation in n gets a guard.
    Degraded {
        /// This n; `u64::MAX` for no guards.
        every: u64,
    },
}

/// Where events go.
pub type EventSink = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// Sends an event to the `log` crate's logger, with the target `highwater`: allocations and frees at the level
/// `trace`, growth, resets and rewinds at `debug`, fewer guards at `warn`. For
/// [`log_to`](crate::Builder::log_to); with the feature `log`.
///
/// ```
/// let arena = highwater::Arena::builder().checked().log_to(highwater::guard::to_log).build();
/// arena.alloc(1);
/// ```
#[cfg(feature = "log")]
pub fn to_log(event: &Event<'_>) {
    let level = match event.what {
        EventKind::Allocated { .. } | EventKind::Resized { .. } | EventKind::Freed { .. } => {
            log::Level::Trace
        }
        EventKind::Grown { .. } | EventKind::Reset { .. } | EventKind::Rewound { .. } => log::Level::Debug,
        EventKind::Degraded { .. } => log::Level::Warn,
    };
    log::log!(target: "highwater", level, "{event}");
}
