//! How long to wait where admission would refuse.
//!
//! The kernel does not kill at once either: it writes out, and tries again. What it waits for takes milliseconds, and so
//! do the waits here. Each is given up where the figures do not move, and has an end where they do.

use super::grants;
use super::shortage::Shortage;
use crate::sys;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

const MS: u64 = 1_000_000;
/// Without a change of the figures: for memory that is about to be given back, and for a commit of another thread to end.
const IDLE: u64 = 30 * MS;
const IDLE_IN_FLIGHT: u64 = 500 * MS;
/// For pages that are being written: without a change, and with one.
const WRITING: (u64, u64) = (100 * MS, 1000 * MS);
/// The longest time between a request and its refusal.
const LONGEST: u64 = 3000 * MS;
/// How long another thread may query before this one goes on without a query.
const TURN: u64 = 20 * MS;
/// So soon after a wait that was in vain, another thread need not wait for the same.
const RECENT: u64 = 100 * MS;

/// When a wait for room was last in vain.
static IN_VAIN: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitDecision {
    Sleep,
    GiveUp,
}

/// The waits of one admission.
pub(super) struct Patience {
    began: u64,
    /// When something last moved, and the best that was seen by then.
    moved: u64,
    best: Option<i64>,
    written: i64,
    is_over_for_writeback: bool,
    sleeps: u32,
}

impl Patience {
    pub(super) fn new(now: u64) -> Self {
        Patience {
            began: now,
            moved: now,
            best: None,
            written: i64::MIN,
            is_over_for_writeback: false,
            sleeps: 0,
        }
    }

    /// Sleeps for a moment, for longer ones later.
    pub(super) fn sleep(&mut self) {
        sys::sleep_ns(50_000u32 << self.sleeps.min(5));
        self.sleeps = self.sleeps.wrapping_add(1);
    }

    /// Waits for the thread that queries.
    pub(super) fn wait_for_turn(&self) -> WaitDecision {
        if sys::monotonic_ns().saturating_sub(self.began) < TURN {
            WaitDecision::Sleep
        } else {
            WaitDecision::GiveUp
        }
    }

    /// Waits for pages that are being written out; `spare` bytes are there already.
    pub(super) fn wait_for_writeback(&mut self, spare: i64, writeback: u64) {
        let now = sys::monotonic_ns();
        // (A page that was written is clean, or reclaimed and in use again: either way there is less to write.)
        let done = spare.max(0).saturating_sub_unsigned(writeback);
        if done > self.written {
            (self.written, self.moved) = (done, now);
        }
        let (idle, longest) = WRITING;
        self.is_over_for_writeback =
            now.saturating_sub(self.moved) > idle || now.saturating_sub(self.began) > longest;
    }

    /// Whether this has waited as long as anything may.
    pub(super) fn is_exhausted(&self) -> bool {
        sys::monotonic_ns().saturating_sub(self.began) > LONGEST
    }

    /// Whether the rest of the waiting is left to the kernel.
    pub(super) fn is_over_for_writeback(&self) -> bool {
        self.is_over_for_writeback
    }

    /// Waits for memory that others give back, or for them to take no more.
    pub(super) fn wait_for_room(&mut self, shortage: &Shortage) -> WaitDecision {
        let now = sys::monotonic_ns();
        // What this process takes itself says nothing about others.
        let others = shortage.spare.saturating_add(grants::admitted());
        let best = self.best.unwrap_or(others);
        let is_taken = others < best.saturating_sub_unsigned(shortage.margin / 8);
        // Each moment makes it more likely then that the kernel kills.
        let is_late = is_taken && shortage.is_urgent;
        if others > best || is_taken {
            self.moved = now;
        }
        self.best = Some(if is_taken { others } else { best.max(others) });
        let is_in_flight = grants::in_flight() > 0;
        let was_in_vain = now.saturating_sub(IN_VAIN.load(Relaxed)) < RECENT;
        let idle = match (is_in_flight, was_in_vain) {
            (true, _) => IDLE_IN_FLIGHT,
            // (Pressed: by the end of a wait others may take nothing.)
            (false, true) if !shortage.is_pressed => 0,
            (false, _) => IDLE,
        };
        let is_idle = !is_taken && now.saturating_sub(self.moved) >= idle;
        if is_idle {
            IN_VAIN.store(now, Relaxed);
        }
        if is_late || is_idle || now.saturating_sub(self.began) > LONGEST {
            WaitDecision::GiveUp
        } else {
            WaitDecision::Sleep
        }
    }
}
