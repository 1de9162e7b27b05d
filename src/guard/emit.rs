//! Calling the sink of a checked arena with its events.

use super::event::{Event, EventKind};
use super::ledger::Ledger;
use crate::region::NAME_BYTES;
use core::any::Any;
use core::sync::atomic::Ordering::Relaxed;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Ledger {
    /// Calls the sink with an event; without a sink, one about fewer guards goes to standard error.
    pub(crate) fn emit(&self, what: EventKind, used: Option<usize>) {
        let is_note = matches!(what, EventKind::Degraded { .. });
        if self.sink.is_none() && !is_note {
            return;
        }
        let mut name = [0; NAME_BYTES];
        let base = self.control.base().addr();
        let event = Event {
            what,
            arena: self.control.name(&mut name),
            region: self.control.id.load(Relaxed),
            generation: self.generation(),
            start: base,
            current: base + self.next.get(),
            end: base + self.control.frontier.get(),
            used: used.unwrap_or_else(|| self.control.counters.touched.load(Relaxed)),
        };
        let Some(sink) = &self.sink else {
            // A standard error that is closed or full is no reason to fail.
            let _ = writeln!(std::io::stderr(), "highwater: {event}");
            return;
        };
        self.emitting.set(true);
        // In the middle of a call that has blocks to look after: a panic ends here, after its message.
        if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| sink(&event))) {
            drop_thrown(thrown);
        }
        self.emitting.set(false);
    }

    /// Whether the sink is being called at this moment.
    pub(crate) fn is_emitting(&self) -> bool {
        self.emitting.get()
    }

    /// Whether there is a sink.
    pub(crate) fn has_sink(&self) -> bool {
        self.sink.is_some()
    }
}

/// Drops what a panic threw. That may panic as well, and so may dropping what *it* throws: that is not dropped.
fn drop_thrown(thrown: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(thrown))) {
        core::mem::forget(next);
    }
}
