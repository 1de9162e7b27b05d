//! Words for figures. Formatting allocates nothing and takes no lock, so the same text serves an error's
//! `Display` and the handler.

use crate::admission::{Cause, OutOfMemory, Refusal, RefusalReason, RefusedRequest};
use crate::region::{Role, text_of};
use core::fmt;

/// A number of bytes as people read it: one decimal at most, in the largest unit that leaves a whole part.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let Bytes(bytes) = *self;
        if bytes < 1 << 13 {
            // Small figures are shown exactly: requests are compared with them.
            return match bytes {
                1024 | 2048 | 4096 => write!(f, "{} KiB", bytes >> 10),
                _ => write!(f, "{bytes} B"),
            };
        }
        // Whole numbers only: formatting a float takes more stack than a signal has.
        let mut shift = 10;
        let mut unit = UNITS[0];
        for name in UNITS.iter().skip(1) {
            if bytes >> shift < 1024 {
                break;
            }
            shift += 10;
            unit = name;
        }
        let whole = bytes >> shift;
        let tenth = ((bytes & ((1 << shift) - 1)) >> (shift - 10)) * 10 / 1024;
        if tenth == 0 { write!(f, "{whole} {unit}") } else { write!(f, "{whole}.{tenth} {unit}") }
    }
}

/// What is spoken of: what it is, its name and its number.
pub(crate) struct RegionLabel<'a>(pub(crate) Role, pub(crate) &'a str, pub(crate) u64);

impl fmt::Display for RegionLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RegionLabel(role, name, id) = self;
        let role = role.name();
        match (*name, id) {
            ("", 0) => write!(f, "new {role}"),
            ("", id) => write!(f, "{role} #{id}"),
            (name, _) => write!(f, "{role} \"{name}\""),
        }
    }
}

/// The first line of a report, which says it all.
impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |bytes: usize| Bytes(bytes as u64);
        write!(f, "{} out of memory: ", RegionLabel(self.role(), text_of(&self.name), self.region()))?;
        match self.request {
            RefusedRequest::Allocation { requested, effective } => write!(
                f,
                "requested {} (effective {}), used {}",
                bytes(requested),
                bytes(effective),
                bytes(self.used)
            )?,
            RefusedRequest::Growth { step } => {
                write!(f, "growing by {}, used ≥ {}", bytes(step), bytes(self.used))?;
            }
        }
        let (committed, reserved) = (bytes(self.committed), bytes(self.reserved));
        write!(f, ", committed {committed}, reserved {reserved}: {}", self.refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, usage) = (Bytes(self.limit()), Bytes(self.usage));
        match self.reason {
            RefusalReason::Gap => {
                return write!(f, "address space: no gap of {usage} is left, the largest is {limit}");
            }
            RefusalReason::Overcommit(kept_back) if kept_back > 0 => {
                let kept_back = Bytes(u64::from(kept_back) << 10);
                return write!(
                    f,
                    "overcommit limit {limit} reached (promised {usage}, kept back from this process {kept_back})"
                );
            }
            _ => {}
        }
        match self.cause() {
            Cause::ReservationExhausted => write!(f, "reservation of {limit} exhausted"),
            Cause::RegionLimit => write!(f, "region limit {limit} reached"),
            Cause::ProcessLimit => write!(f, "process limit {limit} reached (all regions {usage})"),
            Cause::AddressSpace => write!(
                f,
                "address space: {usage} with guards is more than the {limit} left of what all regions together may reserve"
            ),
            Cause::CgroupLimit { path, .. } => {
                write!(f, "cgroup limit {limit} reached ({path}, usage {usage})")
            }
            Cause::SystemMemory => write!(f, "system memory {limit} used up (usage {usage})"),
            Cause::RlimitAs => write!(f, "RLIMIT_AS {limit} reached (usage {usage})"),
            Cause::RlimitData => write!(f, "RLIMIT_DATA {limit} reached (usage {usage})"),
            Cause::Overcommit => write!(f, "overcommit limit {limit} reached (promised {usage})"),
            Cause::MapCount => {
                write!(f, "mappings used up ({} of vm.max_map_count {})", self.usage, self.limit())
            }
            Cause::LockedLimit => write!(f, "RLIMIT_MEMLOCK {limit} reached (locked {usage})"),
            Cause::DiskFull => f.write_str("disk full: the backing file cannot be extended"),
            Cause::HugePages => f.write_str("huge pages used up"),
            Cause::NotInherited => f.write_str("a region in a file is not inherited by a forked process"),
            Cause::Injected => f.write_str("refused by injection"),
            Cause::Allocator => f.write_str("the global allocator has no memory"),
            Cause::Kernel(errno) => write!(f, "the kernel refused (errno {errno})"),
        }?;
        if self.is_injected() && self.cause() != Cause::Injected {
            f.write_str(" (injected)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_readable_and_small_ones_exact() {
        for (bytes, text) in [
            (0, "0 B"),
            (1, "1 B"),
            (4096, "4 KiB"),
            (4104, "4104 B"),
            (65536, "64 KiB"),
            (1 << 20, "1 MiB"),
            ((1 << 30) + (1 << 28), "1.2 GiB"),
            (64 << 30, "64 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
