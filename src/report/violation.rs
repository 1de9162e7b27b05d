//! The words of a violation, for people and as JSON, and of what a checked arena tells.

use super::text::{Bytes, Escaped, Who};
use crate::guard::{Access, Allocation, Event, Kind, Violation, What};
use crate::policy::OnViolation;
use crate::region::Role;
use core::fmt;

/// `1 byte`, `2 bytes`.
struct Count(usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} byte{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// An allocation as the first line names it.
struct Named(Option<Allocation>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(allocation) => write!(f, "a {}-byte allocation ({})", allocation.size, allocation.caller),
            None => f.write_str("an allocation"),
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first line of the report.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (distance, allocation) = (Count(self.distance), Named(self.allocation));
        write!(f, "{}: ", Who(self.role, self.name(), self.region))?;
        match self.kind {
            Kind::Overflow => write!(f, "overflow by {distance} to the right of {allocation}")?,
            Kind::Underflow => write!(f, "underflow by {distance} to the left of {allocation}")?,
            Kind::UseAfterReset => {
                let ended = self.allocation.and_then(|allocation| allocation.ended).unwrap_or(0);
                write!(
                    f,
                    "use after reset of byte {} of {allocation}, given up in generation {ended}",
                    self.distance
                )?;
            }
            Kind::Unallocated => f.write_str("touch of memory that no allocation has")?,
            Kind::BeyondReach => {
                write!(
                    f,
                    "beyond the reach: {distance} past the frontier, the reach is {}",
                    Count(self.reach)
                )?;
            }
            Kind::EndOfReservation => {
                write!(f, "end of reservation: {distance} past its last one")?;
            }
            Kind::BeforeHead => write!(f, "before the head by {distance}")?,
            Kind::PlacedGuard => {
                f.write_str("user's guard")?;
                if let Some(guard) = &self.guard {
                    write!(f, " at {guard:?}, byte {} of it", self.distance)?;
                }
            }
        }
        match self.pc {
            Some(_) => write!(f, "; {} at {:#x}, offset {}", self.access, self.address, self.offset),
            None => write!(f, "; found at {:#x}, offset {}, when it was given up", self.address, self.offset),
        }
    }
}

/// What stands below the first line.
pub(super) struct Details<'a>(pub(super) &'a Violation, pub(super) OnViolation);

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details(violation, response) = self;
        let bytes = |bytes: usize| Bytes(bytes as u64);
        if let Some(allocation) = violation.allocation {
            write!(
                f,
                "  allocation   #{} of generation {}: {} at offset {}, aligned to {}, made at {}",
                allocation.ordinal,
                allocation.generation,
                Count(allocation.size),
                allocation.offset,
                allocation.align,
                allocation.caller
            )?;
            if let Some(ended) = allocation.ended {
                write!(f, ", given up in generation {ended}")?;
            }
            f.write_str("\n")?;
        }
        let (committed, reserved) = (bytes(violation.committed), bytes(violation.reserved));
        write!(f, "  region       #{}: committed {committed}, reserved {reserved}", violation.region)?;
        if let Some(generation) = violation.generation {
            write!(f, ", generation {generation}")?;
        }
        f.write_str("\n")?;
        writeln!(f, "  thread       {} \"{}\"", violation.thread, violation.thread_name())?;
        if let Some(pc) = violation.pc {
            write!(f, "  instruction  {pc:#x}")?;
            if let Some((image, offset)) = violation.image() {
                write!(f, " = {image} + {offset:#x}")?;
            }
            f.write_str("\n")?;
        }
        f.write_str("  next         ")?;
        f.write_str(match (response, violation.pc) {
            (OnViolation::Die, Some(_)) => {
                "SIGSEGV at this instruction, unless another handler takes the fault"
            }
            _ => "abort",
        })
    }
}

/// A violation as one line of JSON.
pub(super) struct Json<'a>(pub(super) &'a Violation);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Json(violation) = self;
        write!(
            f,
            "{{\"highwater\":\"guard\",\"kind\":\"{}\",\"access\":\"{}\",\"address\":\"{:#x}\",\"offset\":{},\
             \"distance\":{},\"arena\":{{\"name\":\"{}\",\"id\":{},\"committed\":{},\"reserved\":{}",
            violation.kind,
            match violation.access {
                Access::Unknown => "unknown",
                Access::Read => "read",
                Access::Write => "write",
            },
            violation.address,
            violation.offset,
            violation.distance,
            Escaped(violation.name()),
            violation.region,
            violation.committed,
            violation.reserved,
        )?;
        if let Some(generation) = violation.generation {
            write!(f, ",\"generation\":{generation}")?;
        }
        f.write_str("}")?;
        if let Some(guard) = &violation.guard {
            write!(f, ",\"guard\":{{\"start\":{},\"end\":{}}}", guard.start, guard.end)?;
        }
        if violation.kind == Kind::BeyondReach {
            write!(f, ",\"reach\":{}", violation.reach)?;
        }
        if let Some(allocation) = violation.allocation {
            write!(
                f,
                ",\"allocation\":{{\"ordinal\":{},\"offset\":{},\"size\":{},\"align\":{},\"generation\":{}",
                allocation.ordinal,
                allocation.offset,
                allocation.size,
                allocation.align,
                allocation.generation,
            )?;
            if let Some(ended) = allocation.ended {
                write!(f, ",\"ended\":{ended}")?;
            }
            let caller = allocation.caller;
            let (file, line, column) = (Escaped(caller.file()), caller.line(), caller.column());
            write!(f, ",\"file\":\"{file}\",\"line\":{line},\"column\":{column}}}")?;
        }
        let thread_name = Escaped(violation.thread_name());
        write!(f, ",\"thread\":{{\"id\":{},\"name\":\"{thread_name}\"}}", violation.thread)?;
        if let Some(pc) = violation.pc {
            write!(f, ",\"pc\":\"{pc:#x}\"")?;
        }
        if let Some((image, offset)) = violation.image() {
            write!(f, ",\"module\":\"{}\",\"module_offset\":\"{offset:#x}\"", Escaped(image))?;
        }
        f.write_str("}")
    }
}

impl Violation {
    /// All of it as one line of JSON: an object with `kind`, `access`, `address`, `offset`, `distance`, `arena`,
    /// `thread`, and where they are known `allocation`, `guard`, `reach`, `pc`, `module` and `module_offset`.
    /// Addresses are strings in hexadecimal, everything else that counts is a number. It allocates; in a
    /// [hook](crate::guard::set_hook) use the `Display`, or [`ReportFormat::Json`](crate::ReportFormat::Json).
    pub fn to_json(&self) -> String {
        Json(self).to_string()
    }
}

/// One line.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", Who(Role::Arena, self.arena, self.region))?;
        match self.what {
            What::Allocated { address, size, align, ordinal, caller } => {
                write!(
                    f,
                    "allocated #{ordinal}: {} at {address:#x}, aligned to {align}, for {caller}",
                    Count(size)
                )?;
            }
            What::Resized { address, from, to, ordinal } => {
                write!(f, "resized from {from} to {}: now #{ordinal} at {address:#x}", Count(to))?;
            }
            What::Freed { address, size, ordinal } => {
                write!(f, "freed #{ordinal}: {} at {address:#x}", Count(size))?;
            }
            What::Grown { bytes } => write!(f, "grew by {}", Count(bytes))?,
            What::Reset { allocations } => write!(f, "reset: {allocations} allocations given up")?,
            What::Rewound { allocations } => write!(f, "rewound: {allocations} allocations given up")?,
            What::Degraded { every: u64::MAX } => {
                f.write_str("no guards from here on: the system has no mappings left for them")?;
            }
            What::Degraded { every } => write!(
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
