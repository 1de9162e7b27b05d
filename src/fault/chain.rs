//! The chain of handlers: what our handler was put in front of, and when.
//!
//! Four rules make the way of a fault that is not ours the one that a program expects, and make it end:
//!
//! 1. Each time our handler is put in front it gets an *entry*: an address of its own, which remembers when that was
//!    and the handler that it was put in front of.
//! 2. A fault goes to the newest handler that was remembered before the entry that the fault came through, and, if it
//!    was passed on already, before the last handler that it was passed on to. So a handler behind us may pass the fault back to us, or make the entry that it found the action again and
//!    let the fault happen once more: it goes to an older handler each time, and after the oldest to the default
//!    action. The time travels with the siginfo, so this holds across all copies of this library in a process.
//! 3. A handler that is found in front a second time was installed a second time: it is remembered at its newest place
//!    only.
//! 4. Nothing that a fault may be passed on to is overwritten. An entry is used again only if the handler behind it has
//!    moved, by rule 3, and the one that was put in front of it as well, which knew its address.
//!
//! Everything here is words, which may be read inside the signal at any time. A reader skips an entry that is being
//! written. [`Chain::newest`] alone is for the inside of the signal.

use super::action::{Action, ENTRIES};
use crate::sys;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, fence};

/// One time that ours was put in front.
struct Entry {
    /// When that was, on the monotonic clock: 0 never, [`BEING_WRITTEN`] while the words below change.
    since: AtomicU64,
    handler: AtomicUsize,
    flags: AtomicI32,
    mask: AtomicU64,
}

impl Entry {
    const fn unused() -> Self {
        Entry {
            since: AtomicU64::new(0),
            handler: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicI32::new(0),
            mask: AtomicU64::new(0),
        }
    }
}

const BEING_WRITTEN: u64 = u64::MAX;

/// The handler behind an entry, if it moved to a newer one.
const MOVED: usize = libc::SIG_ERR;

/// The last entries are for the default action and for ignoring only, which are remembered once each: a builder may find
/// them when all others are in use.
const RESERVED: usize = 2;

/// What an entry remembers, all of the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind {
    number: usize,
    pub(super) since: u64,
    pub(super) action: Action,
}

impl Behind {
    fn has_moved(&self) -> bool {
        self.action.handler == MOVED
    }
}

/// All entries, each with the handler behind it.
pub(super) struct Chain {
    entries: [Entry; ENTRIES],
}

/// Those of this copy of the library.
pub(super) static CHAIN: Chain = Chain::new();

impl Chain {
    const fn new() -> Self {
        Chain { entries: [const { Entry::unused() }; ENTRIES] }
    }

    /// `None` if the entry was never used, or changes at this moment.
    fn read(&self, number: usize) -> Option<Behind> {
        let entry = self.entries.get(number)?;
        let since = entry.since.load(Acquire);
        let action = Action {
            handler: entry.handler.load(Relaxed),
            flags: entry.flags.load(Relaxed),
            mask: entry.mask.load(Relaxed),
        };
        fence(Acquire);
        let is_whole = since != 0 && since != BEING_WRITTEN && entry.since.load(Relaxed) == since;
        is_whole.then_some(Behind { number, since, action })
    }

    /// Rule 2: the handler that a fault goes to which came through an entry, and was passed on to a handler remembered at
    /// `before` last.
    /// Signal-safe.
    pub(super) fn newest(&self, entry: usize, before: u64) -> Option<Behind> {
        let own = self.read(entry).map_or(u64::MAX, |own| own.since);
        let mut newest: Option<Behind> = None;
        for number in 0..ENTRIES {
            let Some(behind) = self.read(number) else { continue };
            let is_older = behind.since <= own && behind.since < before;
            if is_older && !behind.has_moved() && newest.is_none_or(|newest| newest.since < behind.since) {
                newest = Some(behind);
            }
        }
        newest
    }

    /// Uses a handler up that is to be called once; false if it was before. Signal-safe.
    pub(super) fn use_up(&self, behind: &Behind) -> bool {
        let entry = self.entries.get(behind.number);
        let swap = |entry: &Entry| {
            entry.handler.compare_exchange(behind.action.handler, libc::SIG_DFL, AcqRel, Relaxed).is_ok()
        };
        entry.is_some_and(swap)
    }

    /// An entry to put in front of this action now, which it remembers. `None` when all of them are in use, by about
    /// as many handlers; never for `SIG_DFL` and `SIG_IGN`, which have [`RESERVED`] ones.
    pub(super) fn remember(&self, action: Action) -> Option<usize> {
        // What never calls us is in no circle with an entry that stood before it already.
        if (action.is_none() || action.is_copy())
            && let Some(known) = self.find(action.handler)
        {
            return Some(known);
        }
        let usable = ENTRIES - if action.is_none() { 0 } else { RESERVED };
        let number = self.claim_unused(usable).or_else(|| self.claim_left())?;
        self.write(number, action);
        Some(number)
    }

    /// The entry that remembers a handler.
    fn find(&self, handler: usize) -> Option<usize> {
        (0..ENTRIES).find(|&number| self.read(number).is_some_and(|behind| behind.action.handler == handler))
    }

    /// An entry below `end` that was never used, for the caller to write.
    fn claim_unused(&self, end: usize) -> Option<usize> {
        (0..end).find(|&number| self.claim(number, 0))
    }

    fn claim_left(&self) -> Option<usize> {
        let left = self.left()?;
        self.claim(left.number, left.since).then_some(left.number)
    }

    fn claim(&self, number: usize, since: u64) -> bool {
        let Some(entry) = self.entries.get(number) else { return false };
        entry.since.load(Relaxed) == since
            && entry.since.compare_exchange(since, BEING_WRITTEN, AcqRel, Relaxed).is_ok()
    }

    /// Whether an entry remembers this handler.
    pub(super) fn is_in_front_of(&self, number: usize, action: &Action) -> bool {
        self.read(number).is_some_and(|behind| behind.action.handler == action.handler)
    }

    /// Makes an entry that is [`BEING_WRITTEN`] by the caller one of this moment.
    fn write(&self, number: usize, action: Action) {
        let Some(entry) = self.entries.get(number) else { return };
        let mut newest = 0;
        for number in 0..ENTRIES {
            newest = self.read(number).map_or(newest, |behind| newest.max(behind.since));
        }
        let now = sys::monotonic_ns().max(newest.wrapping_add(1));
        fence(Release);
        entry.flags.store(action.flags, Relaxed);
        entry.mask.store(action.mask, Relaxed);
        entry.handler.store(action.handler, Relaxed);
        entry.since.store(now, Release);
        // Rule 3.
        for number in 0..ENTRIES {
            let (Some(behind), Some(older)) = (self.read(number), self.entries.get(number)) else { continue };
            if behind.since < now && behind.action.is_same(&action) {
                let _ = older.handler.compare_exchange(behind.action.handler, MOVED, Release, Relaxed);
            }
        }
    }

    /// Rule 4: the oldest entry that nothing leads to any more.
    fn left(&self) -> Option<Behind> {
        let mut left: Option<Behind> = None;
        for number in 0..ENTRIES {
            let Some(behind) = self.read(number).filter(Behind::has_moved) else { continue };
            let next_has_moved = self.next_after(behind.since).is_some_and(|next| next.has_moved());
            if next_has_moved && left.is_none_or(|left| behind.since < left.since) {
                left = Some(behind);
            }
        }
        left
    }

    /// What was put in front next.
    fn next_after(&self, since: u64) -> Option<Behind> {
        let mut next: Option<Behind> = None;
        for number in 0..ENTRIES {
            let Some(behind) = self.read(number) else { continue };
            if behind.since > since && next.is_none_or(|next| behind.since < next.since) {
                next = Some(behind);
            }
        }
        next
    }

    /// Whether one entry is newer than another.
    pub(super) fn is_newer(&self, one: usize, other: usize) -> bool {
        let since = |number| self.read(number).map_or(0, |behind| behind.since);
        since(one) > since(other)
    }

    /// Whether an action surely passes nothing on to us: there is no handler, or it is another copy's of this library
    /// from before our time.
    pub(super) fn never_calls_us(&self, action: &Action) -> bool {
        action.is_none() || action.is_copy() && self.find(action.handler).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Chain, ENTRIES, RESERVED};
    use crate::fault::action::{OUR_FLAGS, OUR_MASK};

    /// So many different handlers are remembered.
    const HANDLERS: usize = ENTRIES - RESERVED;

    fn handler(handler: usize) -> Action {
        Action { handler, flags: libc::SA_SIGINFO, mask: 0 }
    }

    fn copy(handler: usize) -> Action {
        Action { handler, flags: OUR_FLAGS, mask: OUR_MASK | !0 << 31 }
    }

    const DEFAULT: Action = Action { handler: libc::SIG_DFL, flags: 0, mask: 0 };

    /// The handlers that a fault gets to that comes through an entry, if each passes it back to where it began.
    fn way(chain: &Chain, entry: usize) -> Vec<usize> {
        let mut before = u64::MAX;
        let next = || {
            let behind = chain.newest(entry, before)?;
            before = behind.since;
            Some(behind.action.handler)
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_fault_goes_from_its_entry_to_older_handlers_and_to_each_once() {
        let chain = Chain::new();
        let entries: Vec<_> = [10, 20, 30].map(|of| chain.remember(handler(of)).unwrap()).into();
        assert_eq!(way(&chain, entries[2]), [30, 20, 10]);
        assert_eq!(way(&chain, entries[1]), [20, 10]);
        assert_eq!(way(&chain, entries[0]), [10]);
        assert!(chain.is_newer(entries[2], entries[0]) && !chain.is_newer(entries[0], entries[0]));
    }

    #[test]
    fn a_handler_that_is_found_again_stands_behind_the_newest_entry_only() {
        let chain = Chain::new();
        let entries = [10, 20, 30, 20].map(|of| chain.remember(handler(of)).unwrap());
        assert_eq!(way(&chain, entries[3]), [20, 30, 10]);
        assert_eq!(way(&chain, entries[2]), [30, 10]);
        assert_eq!(way(&chain, entries[1]), [10], "the entry that it found when it was installed again");
    }

    #[test]
    fn entries_are_used_again_when_nothing_leads_to_them() {
        let chain = Chain::new();
        let first = chain.remember(handler(10)).unwrap();
        let mut before = first;
        for _ in 0..10 * ENTRIES {
            let (left, right) = (chain.remember(handler(20)).unwrap(), chain.remember(handler(30)).unwrap());
            assert_eq!(way(&chain, right), [30, 20, 10]);
            assert_eq!(way(&chain, left), [20, 10]);
            assert_eq!(way(&chain, before), [10], "what the first of the two found in front");
            before = right;
        }
        assert_eq!(way(&chain, first), [10]);
    }

    #[test]
    fn no_handler_is_forgotten_for_a_new_one() {
        let chain = Chain::new();
        let entries: Vec<_> = (1..=HANDLERS).map(|of| chain.remember(handler(10 * of)).unwrap()).collect();
        assert_eq!(chain.remember(handler(5)), None);
        let all: Vec<_> = (1..=HANDLERS).rev().map(|of| 10 * of).collect();
        assert_eq!(way(&chain, entries[HANDLERS - 1]), all);
        assert_eq!(chain.remember(handler(20)), None, "nor for one that is there already");
        assert_eq!(way(&chain, entries[HANDLERS - 1]), all);
        for action in [DEFAULT, Action { handler: libc::SIG_IGN, flags: 0, mask: 0 }] {
            let entry = chain.remember(action).expect("one is kept for it");
            assert_eq!(way(&chain, entry)[0], action.handler);
            assert_eq!(chain.remember(action), Some(entry));
        }
        assert_eq!(way(&chain, entries[HANDLERS - 1]), all);
    }

    #[test]
    fn what_never_calls_us_has_one_entry() {
        let chain = Chain::new();
        let older = copy(0x7000_0000_1010);
        let first = chain.remember(older).unwrap();
        let default = chain.remember(DEFAULT).unwrap();
        let reporter = chain.remember(handler(10)).unwrap();
        for _ in 0..10 * ENTRIES {
            assert_eq!(chain.remember(DEFAULT), Some(default));
            assert_eq!(chain.remember(older), Some(first));
        }
        assert_eq!(way(&chain, reporter), [10, libc::SIG_DFL, older.handler]);
        assert!(chain.never_calls_us(&older) && !chain.never_calls_us(&copy(0x7000_0000_1020)));
    }

    #[test]
    fn another_copy_is_one_handler_whatever_its_entry() {
        let chain = Chain::new();
        let (theirs, others) = (0x7000_0000_1000, 0x7000_0000_1400);
        chain.remember(copy(theirs)).unwrap();
        chain.remember(copy(others)).unwrap();
        let last = chain.remember(copy(theirs + 16)).unwrap();
        assert_eq!(way(&chain, last), [theirs + 16, others]);
        assert!(!handler(theirs).is_copy() && copy(theirs).is_copy());
    }

    #[test]
    fn a_handler_that_is_used_up_is_the_default_action() {
        let chain = Chain::new();
        let entry = chain.remember(handler(10)).unwrap();
        let behind = chain.newest(entry, u64::MAX).unwrap();
        assert!(chain.use_up(&behind) && !chain.use_up(&behind));
        assert_eq!(way(&chain, entry), [libc::SIG_DFL]);
    }
}
