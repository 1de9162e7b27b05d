//! Reports of violations.

use super::violation::{ViolationDetails, ViolationJson};
use super::{ends, enter, facts, leave, line};
#[cfg(feature = "debug-arena")]
use crate::guard::Corruption;
#[cfg(highwater_fault)]
use crate::guard::ViolationKind;
use crate::guard::{Violation, hook};
use crate::policy::{OnViolation, ReportFormat};
use crate::region::ControlBlock;
#[cfg(highwater_fault)]
use crate::sys;

/// Reports a fault that is a violation, and ends the process if that was chosen; otherwise the fault goes on to the
/// handler behind ours. Signal-safe.
#[cfg(highwater_fault)]
#[cold]
#[inline(never)]
pub(crate) fn violated(
    control: &ControlBlock,
    kind: ViolationKind,
    access: crate::guard::Access,
    address: usize,
    pc: usize,
) {
    let response = control.on_violation();
    sys::on_large_stack(|| {
        report(control.format(), response, |facts| {
            facts::of_fault(facts, control, kind, access, address, Some(pc))
        });
    });
    if response == OnViolation::Abort {
        ends::violated(kind);
    }
}

/// The report of bytes around an allocation that were found overwritten, and the end: the instruction that did
/// it is long gone.
#[cfg(feature = "debug-arena")]
#[cold]
#[inline(never)]
pub(crate) fn corrupted(control: &ControlBlock, corruption: &Corruption) -> ! {
    report(control.format(), OnViolation::Abort, |facts| facts::of_corruption(facts, control, corruption));
    ends::violated(corruption.kind)
}

fn report(format: ReportFormat, response: OnViolation, gather: impl FnOnce(&mut Violation)) {
    if !enter() {
        return;
    }
    let Some(mut facts) = facts::violation_buffer() else {
        line(format_args!("highwater: a violation, while four others are being reported"));
        return leave();
    };
    let violation: &mut Violation = &mut facts;
    gather(violation);
    match format {
        ReportFormat::Text => {
            // Alone, before anything else that may go wrong.
            line(format_args!("highwater: {violation}"));
            facts::find_image(violation);
            line(format_args!("{}", ViolationDetails(violation, response)));
        }
        ReportFormat::Json => {
            facts::find_image(violation);
            line(format_args!("{}", ViolationJson(violation)));
        }
    }
    if let Some(hook) = hook() {
        hook(violation);
    }
    leave();
}
