//! The report of memory that ran out, and of a process's state on demand: what can be done, the figures of
//! the region, of all regions, the last growths, and of the system around them.
//!
//! Everything is read while it is written, so the figures are those of this moment. Signal-safe.

use super::advice::advice;
use super::out::{FactValue, FactWriter, JsonWriter, TextWriter};
use super::sticky::JsonObject;
use crate::admission::{self, OutOfMemory};
use crate::region::{Monitor, NAME_BYTES, Role};
use crate::stats::{self, Stats};
use crate::sys::{self, Resource};
use core::fmt;

/// How many regions and growths are shown.
const MAX_SHOWN: usize = 8;

/// The report of a refusal: its `Display` is the whole report, and its first line is the error's.
///
/// ```
/// let arena = highwater::Arena::builder().name("parser").limit(1 << 20).build();
/// let error = arena.try_alloc([0u8; 2 << 20]).unwrap_err();
/// let report = error.report().to_string();
/// assert!(report.starts_with("highwater: arena \"parser\" out of memory: requested 2 MiB"));
/// assert!(report.contains("region limit 1 MiB reached"));
/// assert!(error.report().to_json().contains("\"cause\":\"region-limit\""));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    error: &'a OutOfMemory,
}

impl OutOfMemory {
    /// The whole report; the figures that the error does not carry are those of the moment it is written.
    ///
    /// ```
    /// let error = highwater::Arena::builder().limit(8).build().try_alloc([0u64; 2]).unwrap_err();
    /// assert!(error.report().to_string().contains("what to do"));
    /// ```
    pub fn report(&self) -> Report<'_> {
        Report { error: self }
    }
}

impl Report<'_> {
    /// The refusal.
    pub fn error(&self) -> &OutOfMemory {
        self.error
    }

    /// The same as one line of JSON: an object with `highwater` (`"oom"`), `message`, `cause`, `requested`, `used`,
    /// `committed`, `reserved`, `limit`, `usage`, and an object or an array for each section of the text.
    ///
    /// ```
    /// let error = highwater::Arena::builder().limit(8).build().try_alloc([0u64; 2]).unwrap_err();
    /// assert!(error.report().to_json().starts_with("{\"highwater\":\"oom\","));
    /// ```
    pub fn to_json(&self) -> String {
        OomJson(Some(self.error)).to_string()
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "highwater: {}\n{}", self.error, ReportBody(Some(self.error)))
    }
}

/// What stands below the first line, without a line feed at the end.
pub(super) struct ReportBody<'a>(pub(super) Option<&'a OutOfMemory>);

impl fmt::Display for ReportBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.0 {
            write!(f, "  {:<12} {}", "what to do", advice(error.cause()))?;
        }
        let mut out = TextWriter::new(f, self.0.is_none());
        sections(self.0, &mut out);
        out.finish()
    }
}

/// All of it as one object.
pub(super) struct OomJson<'a>(pub(super) Option<&'a OutOfMemory>);

impl fmt::Display for OomJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut object = JsonObject::new(f);
        object.string("highwater", &if self.0.is_some() { "oom" } else { "dump" });
        if let Some(error) = self.0 {
            let cause = error.cause();
            object.string("message", error);
            object.string("cause", &cause.name());
            object.string("advice", &advice(cause));
            object.number("requested", &error.requested());
            object.number("used", &error.used);
            object.number("committed", &error.committed);
            object.number("reserved", &error.reserved);
            object.number("limit", &error.refusal.limit());
            object.number("usage", &error.refusal.usage);
        }
        let mut out = JsonWriter::new(object);
        sections(self.0, &mut out);
        out.finish()
    }
}

fn sections(error: Option<&OutOfMemory>, out: &mut dyn FactWriter) {
    if let Some(error) = error.filter(|error| error.region() != 0) {
        out.section("region", false);
        let mut name = [0; NAME_BYTES];
        for own in Monitor::live() {
            if own.id() == Some(error.region())
                && let (Some(label), Some(stats)) = (own.who(&mut name), own.stats())
            {
                region(out, label, &Stats { used: stats.used.max(error.used), ..stats });
                break;
            }
        }
        out.end_section();
    }
    regions(out);
    growths(out);
    process(out);
    cgroups(out);
    machine(out);
}

fn region(out: &mut dyn FactWriter, (role, name, id): (Role, &str, u64), stats: &Stats) {
    let bytes = |bytes: usize| FactValue::Bytes(bytes as u64);
    out.entry();
    out.fact("number", FactValue::Count(id));
    out.fact("of", FactValue::Text(role.name()));
    if !name.is_empty() {
        out.fact("name", FactValue::Text(name));
    }
    out.fact("used", bytes(stats.used));
    out.fact("committed", bytes(stats.committed));
    out.fact("peak", bytes(stats.peak_committed));
    out.fact("reserved", bytes(stats.reserved));
    out.fact("growths", FactValue::Count(stats.commits));
    out.fact("faults", FactValue::Count(stats.faults));
    out.fact("engine", FactValue::Text(stats.engine.name()));
    out.end_entry();
}

/// The regions that have most committed, largest first. Nothing is sorted: each is the largest below the one before.
fn regions(out: &mut dyn FactWriter) {
    out.section("regions", true);
    let mut before = (usize::MAX, u64::MAX);
    for _ in 0..MAX_SHOWN {
        let mut largest: Option<((usize, u64), Monitor)> = None;
        for region in Monitor::live() {
            let (Some(stats), Some(id)) = (region.stats(), region.id()) else { continue };
            let size = (stats.committed, id);
            if size < before && largest.is_none_or(|(largest, _)| size > largest) {
                largest = Some((size, region));
            }
        }
        let Some((size, next)) = largest else { break };
        before = size;
        let mut name = [0; NAME_BYTES];
        if let (Some(label), Some(stats)) = (next.who(&mut name), next.stats()) {
            region(out, label, &stats);
        }
    }
    out.end_section();
}

fn growths(out: &mut dyn FactWriter) {
    out.section("last growth", true);
    let now = stats::now_ns();
    stats::each_recent(MAX_SHOWN, &mut |event| {
        out.entry();
        out.fact("by", FactValue::Bytes(event.bytes as u64));
        out.fact("at", FactValue::Bytes(event.offset as u64));
        out.fact("of_number", FactValue::Count(event.region));
        out.fact("ago", FactValue::Nanoseconds(now.saturating_sub(event.at_ns)));
        out.fact("took", FactValue::Nanoseconds(event.duration_ns));
        out.fact("thread", FactValue::Count(u64::from(event.thread)));
        out.end_entry();
    });
    out.end_section();
}

fn process(out: &mut dyn FactWriter) {
    out.section("process", false);
    out.entry();
    out.fact("regions_have", FactValue::Bytes(admission::committed_bytes() as u64));
    if sys::under_valgrind() {
        out.fact("under", FactValue::Text("valgrind, where regions do not grow by faults"));
    }
    if let Some(size) = sys::process_size() {
        out.fact("resident", FactValue::Bytes(size.resident));
        out.fact("address_space", FactValue::Bytes(size.total));
        out.fact("data", FactValue::Bytes(size.data));
        out.fact("locked", FactValue::Bytes(size.locked));
    }
    let mut limit = |key: &str, limit: Resource| match sys::resource_limit(limit) {
        Some(bytes) => out.fact(key, FactValue::Bytes(bytes)),
        None => out.fact(key, FactValue::Text("unlimited")),
    };
    limit("RLIMIT_AS", Resource::AddressSpace);
    limit("RLIMIT_DATA", Resource::Data);
    limit("RLIMIT_MEMLOCK", Resource::Locked);
    out.end_entry();
    out.end_section();
}

/// The memory cgroups of this process, its own first.
fn cgroups(out: &mut dyn FactWriter) {
    out.section("cgroup", true);
    admission::each_cgroup(|cgroup| {
        out.entry();
        out.fact("path", FactValue::Text(cgroup.path));
        out.fact("usage", FactValue::Bytes(cgroup.usage));
        match cgroup.limit {
            Some(limit) => out.fact("limit", FactValue::Bytes(limit)),
            None => out.fact("limit", FactValue::Text("none")),
        }
        out.fact("reclaimable", FactValue::Bytes(cgroup.reclaimable));
        if let Some(failures) = cgroup.failures {
            out.fact("limit_hit", FactValue::Count(failures));
        }
        out.end_entry();
    });
    out.end_section();
}

/// What the kernel says of the whole machine.
fn machine(out: &mut dyn FactWriter) {
    let mut pressure = [0u8; 96];
    let mut len = 0;
    // Read first, written when the buffer is given back: the receiver of the text may need it.
    let (memory, overcommit, mappings) = match admission::scratch() {
        Some(mut scratch) => {
            if let Some(line) = sys::memory_pressure(&mut *scratch) {
                len = line.len().min(pressure.len());
                if let (Some(to), Some(line)) = (pressure.get_mut(..len), line.as_bytes().get(..len)) {
                    to.copy_from_slice(line);
                }
            }
            (sys::mem_info(&mut *scratch), sys::overcommit(&mut *scratch), sys::mappings(&mut *scratch))
        }
        None => return,
    };
    out.section("machine", false);
    out.entry();
    if let Some(memory) = memory {
        if let Some(available) = memory.available {
            out.fact("available", FactValue::Bytes(available));
        }
        out.fact("of", FactValue::Bytes(memory.total));
        out.fact("swap_free", FactValue::Bytes(memory.swap_free));
    }
    if let Some(overcommit) = overcommit {
        out.fact("overcommit_memory", FactValue::Count(overcommit.mode));
        out.fact("promised", FactValue::Bytes(overcommit.committed));
        out.fact("promise_limit", FactValue::Bytes(overcommit.commit_limit));
        out.fact("user_reserve", FactValue::Bytes(overcommit.user_reserve));
        out.fact("admin_reserve", FactValue::Bytes(overcommit.admin_reserve));
    }
    if let Some((count, max)) = mappings {
        out.fact("mappings", FactValue::Count(count));
        out.fact("mappings_most", FactValue::Count(max));
    }
    let pressure = core::str::from_utf8(pressure.get(..len).unwrap_or_default()).unwrap_or_default();
    if !pressure.is_empty() {
        out.fact("pressure", FactValue::Text(pressure));
    }
    out.end_entry();
    out.end_section();
}
