//! Words for figures. Formatting allocates nothing and takes no lock, so the same text serves an error's
//! `Display` and the handler.

use crate::admission::{Cause, OutOfMemory, Refusal, RefusalReason, RefusedRequest};
use crate::region::{Role, text_of};
use crate::template::fill;
use core::fmt;

/// A number of bytes as people read it: one decimal at most, in the largest unit that leaves a whole part.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let Bytes(bytes) = *self;
        let unit = match bytes {
            1024 | 2048 | 4096 => 1,
            // Small figures are shown exactly: requests are compared with them.
            0..8192 => 0,
            _ => bytes.ilog2() / 10,
        };
        // Whole numbers only: formatting a float takes more stack than a signal has.
        let shift = unit * 10;
        let whole = bytes >> shift;
        let tenth = if unit == 0 { 0 } else { (bytes >> (shift - 10)) % 1024 * 10 / 1024 };
        let unit = UNITS.get(unit as usize).unwrap_or(&"");
        let template = if tenth == 0 { "{whole} {unit}" } else { "{whole}.{tenth} {unit}" };
        fill(f, template, &[("whole", &whole), ("tenth", &tenth), ("unit", unit)])
    }
}

/// What is spoken of: what it is, its name and its number.
pub(crate) struct RegionLabel<'a>(pub(crate) Role, pub(crate) &'a str, pub(crate) u64);

impl fmt::Display for RegionLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RegionLabel(role, name, id) = self;
        let template = match (*name, id) {
            ("", 0) => "new {role}",
            ("", _) => "{role} #{id}",
            _ => "{role} \"{name}\"",
        };
        fill(f, template, &[("role", &role.name()), ("name", name), ("id", id)])
    }
}

/// The first line of a report, which says it all.
impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |bytes: usize| Bytes(bytes as u64);
        let (template, first, second) = match self.request {
            RefusedRequest::Allocation { requested, effective } => (
                "{who} out of memory: requested {requested} (effective {effective}), used {used}, committed {committed}, \
                 reserved {reserved}: {refusal}",
                requested,
                effective,
            ),
            RefusedRequest::Growth { step } => (
                "{who} out of memory: growing by {requested}, used ≥ {used}, committed {committed}, reserved {reserved}: \
                 {refusal}",
                step,
                0,
            ),
        };
        fill(
            f,
            template,
            &[
                ("who", &RegionLabel(self.role(), text_of(&self.name), self.region())),
                ("requested", &bytes(first)),
                ("effective", &bytes(second)),
                ("used", &bytes(self.used)),
                ("committed", &bytes(self.committed)),
                ("reserved", &bytes(self.reserved)),
                ("refusal", &self.refusal),
            ],
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause();
        let path: &dyn fmt::Display = match &cause {
            Cause::CgroupLimit { path, .. } => path,
            _ => &"",
        };
        let errno = if let Cause::Kernel(errno) = cause { errno } else { 0 };
        let kept_back =
            if let RefusalReason::Overcommit(kib) = self.reason { u64::from(kib) << 10 } else { 0 };
        let template = match cause {
            _ if matches!(self.reason, RefusalReason::Gap) => {
                "address space: no gap of {usage} is left, the largest is {limit}"
            }
            Cause::ReservationExhausted => "reservation of {limit} exhausted",
            Cause::RegionLimit => "region limit {limit} reached",
            Cause::ProcessLimit => "process limit {limit} reached (all regions {usage})",
            Cause::AddressSpace => {
                "address space: {usage} with guards is more than the {limit} left of what all regions together may reserve"
            }
            Cause::CgroupLimit { .. } => "cgroup limit {limit} reached ({path}, usage {usage})",
            Cause::SystemMemory => "system memory {limit} used up (usage {usage})",
            Cause::RlimitAs => "RLIMIT_AS {limit} reached (usage {usage})",
            Cause::RlimitData => "RLIMIT_DATA {limit} reached (usage {usage})",
            Cause::Overcommit if kept_back > 0 => {
                "overcommit limit {limit} reached (promised {usage}, kept back from this process {kept_back})"
            }
            Cause::Overcommit => "overcommit limit {limit} reached (promised {usage})",
            Cause::MapCount => "mappings used up ({used_count} of vm.max_map_count {max_count})",
            Cause::LockedLimit => "RLIMIT_MEMLOCK {limit} reached (locked {usage})",
            Cause::DiskFull => "disk full: the backing file cannot be extended",
            Cause::HugePages => "huge pages used up",
            Cause::NotInherited => "a region in a file is not inherited by a forked process",
            Cause::Injected => "refused by injection",
            Cause::Allocator => "the global allocator has no memory",
            Cause::Kernel(_) => "the kernel refused (errno {errno})",
        };
        fill(
            f,
            template,
            &[
                ("limit", &Bytes(self.limit())),
                ("usage", &Bytes(self.usage)),
                ("kept_back", &Bytes(kept_back)),
                ("max_count", &self.limit()),
                ("used_count", &self.usage),
                ("path", path),
                ("errno", &errno),
            ],
        )?;
        if self.is_injected() && cause != Cause::Injected {
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
