//! Where a region's memory ends and its file begins, once it has spilled.
//!
//! One word: up to where commits were admitted, how many are on their way, and where the rest of the region is. A thread
//! claims the rest in one step, so every commit that was admitted before lies below the border, and none is admitted
//! after. No thread waits: one that comes while the file is being mapped touches its memory again.
//!
//! The atomic comes from the parent module, so that the same file runs under loom.

use super::atomic::{AtomicU64, Ordering};

/// The rest was claimed: nothing is admitted in memory any more.
const CLAIMED: u64 = 1;
/// The rest is mapped over by the file.
const MAPPED: u64 = 2;
/// That did not work, and is not tried again.
const FAILED: u64 = 4;
const FLAGS: u64 = CLAIMED | MAPPED | FAILED;
/// Commits on their way: bits 3 to 10.
const IN_FLIGHT: u64 = 1 << 3;
const IN_FLIGHT_MASK: u64 = 0xff << 3;
/// Admissions since none was on its way, as far as they can be counted: bits 11 to 27.
const COUNT: u64 = 1 << 11;
const COUNT_MASK: u64 = 0x1_ffff << 11;
/// The end, in units of 4 KiB: bits 28 to 63.
const END_SHIFT: u32 = 28;
const UNIT: usize = 4096;

/// See the module. Ends are offsets from the region's base, multiples of the page size.
#[derive(Debug)]
pub(crate) struct SpillBorder(AtomicU64);

/// Where the rest of a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpillState {
    /// It is memory, like everything before it.
    InMemory,
    /// A thread is mapping the file over it.
    Switching,
    /// It lives in the file from this offset on.
    InFile(usize),
    /// The file could not be mapped.
    Failed,
}

fn end_of(word: u64) -> usize {
    ((word >> END_SHIFT) as usize).wrapping_mul(UNIT)
}

fn with_end(word: u64, end: usize) -> u64 {
    (word & ((1 << END_SHIFT) - 1)) | ((end / UNIT) as u64) << END_SHIFT
}

fn state_of(word: u64) -> SpillState {
    if word & FAILED != 0 {
        SpillState::Failed
    } else if word & MAPPED != 0 {
        SpillState::InFile(end_of(word))
    } else if word & CLAIMED != 0 {
        SpillState::Switching
    } else {
        SpillState::InMemory
    }
}

impl SpillBorder {
    pub(crate) fn new() -> Self {
        SpillBorder(AtomicU64::new(0))
    }

    pub(crate) fn state(&self) -> SpillState {
        state_of(self.0.load(Ordering::Acquire))
    }

    /// Up to where commits were admitted.
    #[allow(dead_code, reason = "only a forked child asks, and not under loom")]
    pub(crate) fn admitted(&self) -> usize {
        end_of(self.0.load(Ordering::Acquire))
    }

    /// Changes the word as long as `change` says how.
    fn update(&self, mut change: impl FnMut(u64) -> Option<u64>) -> bool {
        let mut word = self.0.load(Ordering::Acquire);
        while let Some(new) = change(word) {
            match self.0.compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Admits a commit in memory up to `end`, which [`done`](SpillBorder::done) or [`failed`](SpillBorder::failed) ends; false
    /// once the rest is claimed (and while more commits are on their way than can be counted: touch again).
    pub(crate) fn admit(&self, end: usize) -> bool {
        self.update(|word| {
            if word & FLAGS != 0 || word & IN_FLIGHT_MASK == IN_FLIGHT_MASK {
                return None;
            }
            let counted = if word & COUNT_MASK == COUNT_MASK { word } else { word.wrapping_add(COUNT) };
            Some(with_end(counted.wrapping_add(IN_FLIGHT), end_of(word).max(end)))
        })
    }

    /// An admitted commit is over, and the frontier was raised.
    pub(crate) fn done(&self) {
        self.update(|word| Some(landed(word)));
    }

    /// An admitted commit came to nothing. If no other was admitted meanwhile, the border goes back to the frontier.
    pub(crate) fn failed(&self, frontier: impl Fn() -> usize) {
        self.update(|word| {
            let alone = word & IN_FLIGHT_MASK == IN_FLIGHT && word & COUNT_MASK != COUNT_MASK;
            // The frontier is read after the word: a later admission changes the word, and this is tried again.
            Some(if alone && word & FLAGS == 0 { with_end(landed(word), frontier()) } else { landed(word) })
        });
    }

    /// Claims the rest. Returns the border to the first caller, which has to map the file; the state to every other one.
    pub(crate) fn claim(&self) -> Result<usize, SpillState> {
        match self.0.fetch_or(CLAIMED, Ordering::AcqRel) {
            word if word & FLAGS == 0 => Ok(end_of(word)),
            word => Err(state_of(word)),
        }
    }

    /// Says how mapping went. Only for the thread that claimed the rest.
    pub(crate) fn finish(&self, mapped: bool) {
        self.0.fetch_or(if mapped { MAPPED } else { FAILED }, Ordering::AcqRel);
    }

    /// Everything is memory again, and committed up to `end`. The caller has the region to itself.
    pub(crate) fn reset(&self, end: usize) {
        self.0.store(with_end(0, end), Ordering::Release);
    }
}

/// The word when one commit less is on its way.
fn landed(word: u64) -> u64 {
    let word = word.wrapping_sub(IN_FLIGHT);
    if word & IN_FLIGHT_MASK == 0 { word & !COUNT_MASK } else { word }
}
