//! The text and the JSON of a violation, and the text of a checked arena's events.

use super::sticky::{JsonObject, StickyFormatter};
use super::text::{Bytes, RegionLabel};
use crate::guard::{Access, Allocation, Violation, ViolationKind};
#[cfg(feature = "debug-arena")]
use crate::guard::{Event, EventKind};
#[cfg(any(highwater_fault, feature = "debug-arena"))]
use crate::policy::OnViolation;
#[cfg(feature = "debug-arena")]
use crate::region::Role;
use crate::template::fill;
use core::fmt;

/// `1 byte`, `2 bytes`.
struct ByteCount(usize);

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} byte{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// An allocation as the first line names it.
struct NamedAllocation(Option<Allocation>);

impl fmt::Display for NamedAllocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(allocation) if cfg!(feature = "debug-arena") => {
                write!(f, "a {}-byte allocation ({})", allocation.size, allocation.caller)
            }
            _ => f.write_str("an allocation"),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Unknown => "touch",
        })
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first line of the report.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let template = match self.kind {
            ViolationKind::Overflow => "{who}: overflow by {distance} to the right of {allocation}",
            ViolationKind::Underflow => "{who}: underflow by {distance} to the left of {allocation}",
            ViolationKind::UseAfterReset => {
                "{who}: use after reset of byte {byte} of {allocation}, given up in generation {ended}"
            }
            ViolationKind::Unallocated => "{who}: touch of memory that no allocation has",
            ViolationKind::BeyondReach => {
                "{who}: beyond the reach: {distance} past the frontier, the reach is {reach}"
            }
            ViolationKind::EndOfReservation => "{who}: end of reservation: {distance} past its last one",
            ViolationKind::BeforeHead => "{who}: before the head by {distance}",
            ViolationKind::PlacedGuard if self.guard.is_some() => {
                "{who}: user's guard at {start}..{end}, byte {byte} of it"
            }
            ViolationKind::PlacedGuard => "{who}: user's guard",
        };
        let guard = self.guard.clone().unwrap_or_default();
        let ended = self.allocation.and_then(|allocation| allocation.ended).unwrap_or(0);
        fill(
            f,
            template,
            &[
                ("who", &RegionLabel(self.role, self.name(), self.region)),
                ("distance", &ByteCount(self.distance)),
                ("byte", &self.distance),
                ("allocation", &NamedAllocation(self.allocation)),
                ("ended", &ended),
                ("reach", &ByteCount(self.reach)),
                ("start", &guard.start),
                ("end", &guard.end),
            ],
        )?;
        let template = match self.pc {
            Some(_) => "; {access} at {address}, offset {offset}",
            None => "; found at {address}, offset {offset}, when it was given up",
        };
        let address: &dyn fmt::Display = &format_args!("{:#x}", self.address);
        fill(f, template, &[("access", &self.access), ("address", address), ("offset", &self.offset)])
    }
}

/// What stands below the first line.
#[cfg(any(highwater_fault, feature = "debug-arena"))]
pub(super) struct ViolationDetails<'a>(pub(super) &'a Violation, pub(super) OnViolation);

#[cfg(any(highwater_fault, feature = "debug-arena"))]
impl fmt::Display for ViolationDetails<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ViolationDetails(violation, response) = self;
        let mut to = StickyFormatter::new(f);
        // (Only a checked arena has allocations.)
        if cfg!(feature = "debug-arena")
            && let Some(allocation) = violation.allocation
        {
            to.value(&format_args!(
                "  allocation   #{} of generation {}: {} at offset {}, aligned to {}, made at {}",
                allocation.ordinal,
                allocation.generation,
                ByteCount(allocation.size),
                allocation.offset,
                allocation.align,
                allocation.caller
            ));
            if let Some(ended) = allocation.ended {
                to.value(&format_args!(", given up in generation {ended}"));
            }
            to.text("\n");
        }
        to.value(&format_args!(
            "  region       #{}: committed {}, reserved {}",
            violation.region,
            Bytes(violation.committed as u64),
            Bytes(violation.reserved as u64)
        ));
        if let Some(generation) = violation.generation {
            to.value(&format_args!(", generation {generation}"));
        }
        to.value(&format_args!("\n  thread       {} \"{}\"\n", violation.thread, violation.thread_name()));
        if let Some(pc) = violation.pc {
            to.value(&format_args!("  instruction  {pc:#x}"));
            if let Some((image, offset)) = violation.image() {
                to.value(&format_args!(" = {image} + {offset:#x}"));
            }
            to.text("\n");
        }
        to.text("  next         ");
        to.text(match (response, violation.pc) {
            (OnViolation::Die, Some(_)) => {
                "SIGSEGV at this instruction, unless another handler takes the fault"
            }
            _ => "abort",
        });
        to.finish()
    }
}

/// A violation as one line of JSON.
pub(super) struct ViolationJson<'a>(pub(super) &'a Violation);

impl fmt::Display for ViolationJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ViolationJson(violation) = self;
        let mut object = JsonObject::new(f);
        object.string("highwater", &"guard");
        object.string("kind", &violation.kind);
        object.string("access", &access_name(violation.access));
        object.hex("address", violation.address);
        object.number("offset", &violation.offset);
        object.number("distance", &violation.distance);
        object.begin(Some("arena"));
        object.string("name", &violation.name());
        object.number("id", &violation.region);
        object.number("committed", &violation.committed);
        object.number("reserved", &violation.reserved);
        if let Some(generation) = &violation.generation {
            object.number("generation", generation);
        }
        object.end();
        if let Some(guard) = &violation.guard {
            object.begin(Some("guard"));
            object.number("start", &guard.start);
            object.number("end", &guard.end);
            object.end();
        }
        if violation.kind == ViolationKind::BeyondReach {
            object.number("reach", &violation.reach);
        }
        // (Only a checked arena has allocations.)
        if cfg!(feature = "debug-arena")
            && let Some(allocation) = &violation.allocation
        {
            object.begin(Some("allocation"));
            object.number("ordinal", &allocation.ordinal);
            object.number("offset", &allocation.offset);
            object.number("size", &allocation.size);
            object.number("align", &allocation.align);
            object.number("generation", &allocation.generation);
            if let Some(ended) = &allocation.ended {
                object.number("ended", ended);
            }
            object.string("file", &allocation.caller.file());
            object.number("line", &allocation.caller.line());
            object.number("column", &allocation.caller.column());
            object.end();
        }
        object.begin(Some("thread"));
        object.number("id", &violation.thread);
        object.string("name", &violation.thread_name());
        object.end();
        if let Some(pc) = violation.pc {
            object.hex("pc", pc);
        }
        if let Some((image, offset)) = violation.image() {
            object.string("module", &image);
            object.hex("module_offset", offset);
        }
        object.finish()
    }
}

fn access_name(access: Access) -> &'static str {
    match access {
        Access::Unknown => "unknown",
        Access::Read => "read",
        Access::Write => "write",
    }
}

impl Violation {
    /// All of it as one line of JSON: an object with `kind`, `access`, `address`, `offset`, `distance`, `arena`,
    /// `thread`, and where they are known `allocation`, `guard`, `reach`, `pc`, `module` and `module_offset`.
    /// Addresses are strings in hexadecimal, everything else that counts is a number. It allocates; in a
    /// [hook](crate::guard::set_hook) use the `Display`, or [`ReportFormat::Json`](crate::ReportFormat::Json).
    pub fn to_json(&self) -> String {
        ViolationJson(self).to_string()
    }
}

/// One line.
#[cfg(feature = "debug-arena")]
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", RegionLabel(Role::Arena, self.arena, self.region))?;
        match self.what {
            EventKind::Allocated { address, size, align, ordinal, caller } => {
                write!(
                    f,
                    "allocated #{ordinal}: {} at {address:#x}, aligned to {align}, for {caller}",
                    ByteCount(size)
                )?;
            }
            EventKind::Resized { address, from, to, ordinal } => {
                write!(f, "resized from {from} to {}: now #{ordinal} at {address:#x}", ByteCount(to))?;
            }
            EventKind::Freed { address, size, ordinal } => {
                write!(f, "freed #{ordinal}: {} at {address:#x}", ByteCount(size))?;
            }
            EventKind::Grown { bytes } => write!(f, "grew by {}", ByteCount(bytes))?,
            EventKind::Reset { allocations } => write!(f, "reset: {allocations} allocations given up")?,
            EventKind::Rewound { allocations } => write!(f, "rewound: {allocations} allocations given up")?,
            EventKind::Degraded { every: u64::MAX } => {
                f.write_str("no guards from here on: the system has no mappings left for them")?;
            }
            EventKind::Degraded { every } => write!(
                f,
                "a guard behind every {every}. allocation from here on: the system allows only so many mappings"
            )?,
        }
        write!(
            f,
            "; generation {}, used {}, start {:#x}, current {:#x}, end {:#x}",
            self.generation, self.used, self.start, self.current, self.end
        )
    }
}
