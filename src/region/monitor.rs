//! Watching a region from another thread.

use super::control::ControlBlock;
use super::name::NAME_BYTES;
use super::role::Role;
use super::{pool, registry};
use crate::stats::Stats;
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

/// A view of a region's figures that any thread may hold, before and after the region is gone: for
/// progress bars and for reports.
///
/// ```
/// let arena = highwater::Arena::builder().name("job").build();
/// let monitor = arena.monitor();
/// let watcher = std::thread::spawn(move || monitor.stats().map(|stats| stats.committed));
/// assert!(watcher.join().unwrap().is_some());
/// ```
#[derive(Clone, Copy)]
pub struct Monitor {
    control: &'static ControlBlock,
    generation: u64,
}

impl Monitor {
    pub(crate) fn new(control: &'static ControlBlock) -> Self {
        Monitor { control, generation: control.generation() }
    }

    /// The control block, which may be another region's by now.
    #[cfg(feature = "internal")]
    pub(crate) fn control(&self) -> &'static ControlBlock {
        self.control
    }

    /// The region that an address lies in, its guards included; wait-free.
    pub fn of(address: *const u8) -> Option<Self> {
        registry::find(address.addr()).map(Monitor::new).filter(Monitor::is_live)
    }

    /// Monitors of all regions of the process.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for monitor in Monitor::live() {
            all.push(monitor);
        }
        all
    }

    /// [`all`](Monitor::all), one by one. Signal-safe.
    pub(crate) fn live() -> impl Iterator<Item = Self> {
        let mut blocks = pool::live();
        core::iter::from_fn(move || {
            loop {
                let monitor = Monitor::new(blocks.next()?);
                if monitor.is_live() {
                    return Some(monitor);
                }
            }
        })
    }

    /// What stands on the region, its name and its number. Signal-safe.
    pub(crate) fn who<'a>(&self, name: &'a mut [u8; NAME_BYTES]) -> Option<(Role, &'a str, u64)> {
        self.while_live(|control| (control.role(), control.name(name), control.id.load(Relaxed)))
    }

    /// Whether the region exists still.
    pub fn is_live(&self) -> bool {
        self.generation & 1 == 1 && self.control.generation() == self.generation
    }

    /// What `read` reads, if the region existed from before to after.
    fn while_live<T>(&self, read: impl FnOnce(&ControlBlock) -> T) -> Option<T> {
        let value = read(self.control);
        core::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
        self.is_live().then_some(value)
    }

    /// The figures of this moment; `None` once the region is gone.
    pub fn stats(&self) -> Option<Stats> {
        self.while_live(ControlBlock::stats)
    }

    /// The region's number; `None` once it is gone.
    pub fn id(&self) -> Option<u64> {
        self.while_live(|control| control.id.load(Relaxed))
    }

    /// The region's name, empty if it has none; `None` once it is gone.
    pub fn name(&self) -> Option<String> {
        self.who(&mut [0; NAME_BYTES]).map(|(_, name, _)| name.to_owned())
    }
}

/// How many bytes from `start` on, at most `len`, may be passed to the kernel at this moment: those that are committed, and all
/// of them where the memory is no region's. For assertions before a system call that writes to memory: one that begins
/// before the frontier and ends past it is cut short there, or fails. Wait-free, and touches none of the bytes.
///
/// ```
/// # if cfg!(target_os = "linux") {
/// let arena = highwater::Arena::builder().reserve(1 << 30).build();
/// let start = arena.region().as_ptr();
/// assert_eq!(highwater::committed_of(start, 1 << 20), 64 << 10); // the head
/// arena.region().ensure(1 << 20)?;
/// debug_assert_eq!(highwater::committed_of(start, 1 << 20), 1 << 20);
/// assert_eq!(highwater::committed_of([0u8; 100].as_ptr(), 100), 100);
/// # }
/// # Ok::<(), highwater::OutOfMemory>(())
/// ```
pub fn committed_of(start: *const u8, len: usize) -> usize {
    let Some(control) = Monitor::of(start).map(|monitor| monitor.control) else { return len };
    let Some(from) = start.addr().checked_sub(control.base().addr()) else { return 0 };
    // (What a checked arena hands out is committed, block by block.)
    let frontier = if control.is_checked() { control.reserved() } else { control.frontier.get() };
    let mut end = frontier;
    for guard in control.placed_guards() {
        if guard.end > from {
            end = end.min(guard.start);
        }
    }
    end.saturating_sub(from).min(len)
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("id", &self.id()).field("stats", &self.stats()).finish()
    }
}
