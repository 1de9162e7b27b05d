//! The records that the processes of a run leave, and their totals.

use std::{collections::HashMap, fs, io, path::Path};

use highwater::internal::heap::record::{HeapRecord, RecordField};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use serde::Serialize;

use crate::allocators::policy;

/// How a process of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessEnd {
    /// It ran its exit handlers.
    Exited,
    /// It executed another program, which has a record of its own.
    Replaced,
    /// It is still running.
    Running,
    /// It was killed, or ended without its exit handlers.
    CutShort,
}

impl ProcessEnd {
    /// In words, for the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Replaced => "became another",
            Self::Running => "still running",
            Self::CutShort => "cut short",
        }
    }
}

/// A process, or one of the programs it executed. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessRecord {
    pub name: String,
    pub process: u64,
    pub parent: u64,
    pub end: ProcessEnd,
    pub policy: &'static str,
    #[serde(flatten)]
    pub figures: Figures,
    /// Times of the monotonic clock.
    pub started_ns: u64,
    pub written_ns: u64,
}

/// The figures of one process or of all. A figure that a process records only at its end is `None` if it was cut short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub growths: u64,
    pub refusals: u64,
    pub reserved: u64,
    pub committed: u64,
    pub peak_committed: u64,
    pub live_blocks: Option<u64>,
    pub live_bytes: Option<u64>,
    pub peak_live_bytes: Option<u64>,
    pub minor_faults: Option<u64>,
    pub major_faults: Option<u64>,
    pub peak_resident: Option<u64>,
}

impl Figures {
    /// Page faults of both kinds.
    pub fn faults(&self) -> Option<u64> {
        combined(self.minor_faults, self.major_faults, u64::saturating_add)
    }

    /// Combines two: counts and final sizes add up; of peaks the larger is kept.
    fn combine(self, other: Self) -> Self {
        let (a, b) = (self, other);
        let sum = |of: fn(&Self) -> Option<u64>| combined(of(&a), of(&b), u64::saturating_add);
        let max = |of: fn(&Self) -> Option<u64>| combined(of(&a), of(&b), u64::max);
        Self {
            growths: a.growths.saturating_add(b.growths),
            refusals: a.refusals.saturating_add(b.refusals),
            reserved: a.reserved.max(b.reserved),
            committed: a.committed.saturating_add(b.committed),
            peak_committed: a.peak_committed.max(b.peak_committed),
            live_blocks: sum(|figures| figures.live_blocks),
            live_bytes: sum(|figures| figures.live_bytes),
            peak_live_bytes: max(|figures| figures.peak_live_bytes),
            minor_faults: sum(|figures| figures.minor_faults),
            major_faults: sum(|figures| figures.major_faults),
            peak_resident: max(|figures| figures.peak_resident),
        }
    }
}

/// Combines what is known of the two.
fn combined(a: Option<u64>, b: Option<u64>, of: fn(u64, u64) -> u64) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(of(a, b)),
        (a, b) => a.or(b),
    }
}

/// The totals of all processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The number of records, and of processes by how they ended.
    pub records: usize,
    pub exited: usize,
    pub replaced: usize,
    pub running: usize,
    pub cut_short: usize,
    /// Counts are added up; peaks are those of the largest process.
    #[serde(flatten)]
    pub figures: Figures,
    /// The largest sum of the peaks of processes that lived at the same time: an upper bound for what all of them had
    /// together, as far as they recorded it.
    pub peak_committed_together: u64,
    /// The same for live bytes.
    pub peak_live_bytes_together: u64,
}

/// The records of a directory, the oldest first.
#[derive(Debug, Default)]
pub struct Records {
    pub processes: Vec<ProcessRecord>,
    /// Files that are incomplete, or of another version of the library.
    pub unreadable: usize,
}

impl Records {
    /// Reads all records of a directory.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let mut records = Vec::new();
        let mut unreadable = 0;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "rec") {
                continue;
            }
            match fs::read(&path).ok().and_then(|bytes| HeapRecord::read(&bytes)) {
                Some(record) => records.push(record),
                None => unreadable += 1,
            }
        }
        Ok(Self { processes: processes(&records, is_alive), unreadable })
    }

    /// The totals.
    pub fn merged(&self) -> Merged {
        let count = |end| self.processes.iter().filter(|process| process.end == end).count();
        Merged {
            records: self.processes.len(),
            exited: count(ProcessEnd::Exited),
            replaced: count(ProcessEnd::Replaced),
            running: count(ProcessEnd::Running),
            cut_short: count(ProcessEnd::CutShort),
            figures: sum(&self.processes),
            peak_committed_together: largest_sum(&self.processes, |figures| Some(figures.peak_committed)),
            peak_live_bytes_together: largest_sum(&self.processes, |figures| figures.peak_live_bytes),
        }
    }
}

/// Whether a process is running; a zombie is not.
fn is_alive(process: u64) -> bool {
    let Ok(id) = i32::try_from(process) else { return false };
    let is_there = id > 0 && matches!(kill(Pid::from_raw(id), None), Ok(()) | Err(Errno::EPERM));
    is_there && !fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| is_zombie(&stat))
}

/// Reads the state from `/proc/PID/stat`: `123 (name) Z 1 …`, where the name can contain anything.
fn is_zombie(stat: &str) -> bool {
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn processes(records: &[HeapRecord], is_alive: impl Fn(u64) -> bool) -> Vec<ProcessRecord> {
    let mut starts: HashMap<u64, u64> = HashMap::new();
    for record in records {
        let started = starts.entry(record.get(RecordField::Process)).or_default();
        *started = record.get(RecordField::Started).max(*started);
    }
    let mut processes: Vec<_> = records.iter().map(|record| process(record, &starts, &is_alive)).collect();
    processes.sort_by_key(|process| (process.started_ns, process.process));
    processes
}

fn process(
    record: &HeapRecord,
    starts: &HashMap<u64, u64>,
    is_alive: &impl Fn(u64) -> bool,
) -> ProcessRecord {
    let get = |field| record.get(field);
    let exited = get(RecordField::State) == 2;
    let last = |field| Some(get(field)).filter(|figure| exited || *figure > 0);
    let id = get(RecordField::Process);
    let end = if exited {
        ProcessEnd::Exited
    } else if starts.get(&id).is_some_and(|started| *started > get(RecordField::Started)) {
        ProcessEnd::Replaced
    } else if is_alive(id) {
        ProcessEnd::Running
    } else {
        ProcessEnd::CutShort
    };
    ProcessRecord {
        name: String::from_utf8_lossy(&record.name()).into_owned(),
        process: id,
        parent: get(RecordField::Parent),
        end,
        policy: usize::try_from(get(RecordField::Policy))
            .ok()
            .and_then(|policy| policy::NAMES.get(policy))
            .unwrap_or(&"unknown"),
        figures: Figures {
            growths: get(RecordField::Growths),
            refusals: get(RecordField::Refusals),
            reserved: get(RecordField::Reserved),
            committed: get(RecordField::Committed),
            peak_committed: get(RecordField::PeakCommitted),
            live_blocks: last(RecordField::LiveBlocks),
            live_bytes: last(RecordField::LiveBytes),
            peak_live_bytes: last(RecordField::PeakLiveBytes),
            minor_faults: last(RecordField::MinorFaults),
            major_faults: last(RecordField::MajorFaults),
            peak_resident: last(RecordField::PeakResident),
        },
        started_ns: get(RecordField::Started),
        written_ns: get(RecordField::Written).max(get(RecordField::Started)),
    }
}

/// The figures of these processes, combined.
pub fn sum(processes: &[ProcessRecord]) -> Figures {
    processes.iter().map(|process| process.figures).fold(Figures::default(), Figures::combine)
}

fn largest_sum(processes: &[ProcessRecord], peak: impl Fn(&Figures) -> Option<u64>) -> u64 {
    // The sum is largest at a moment when some process starts.
    let at = |now: u64| {
        let live =
            processes.iter().filter(|process| (process.started_ns..=process.written_ns).contains(&now));
        live.filter_map(|process| peak(&process.figures)).fold(0, u64::saturating_add)
    };
    processes.iter().map(|process| at(process.started_ns)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of process `id`, from and to these times, with this peak.
    fn record(id: u64, state: u64, times: (u64, u64), peak: u64) -> HeapRecord {
        let record = HeapRecord::default();
        record.begin(b"cc1plus");
        for (field, value) in [
            (RecordField::Process, id),
            (RecordField::State, state),
            (RecordField::Started, times.0),
            (RecordField::Written, times.1),
            (RecordField::PeakCommitted, 2 * peak),
            (RecordField::PeakLiveBytes, peak),
            (RecordField::LiveBlocks, 3),
            (RecordField::Growths, 4),
        ] {
            record.set(field, value);
        }
        record
    }

    #[test]
    fn ends_of_processes() {
        let records = [
            record(9, 2, (50, 60), 1),
            record(7, 1, (10, 15), 1),
            record(7, 2, (20, 30), 1),
            record(8, 1, (12, 30), 1),
            record(6, 1, (1, 2), 1),
        ];
        let processes = processes(&records, |id| id == 8);
        let ends: Vec<_> = processes.iter().map(|process| (process.process, process.end)).collect();
        let expected = [
            (6, ProcessEnd::CutShort),
            (7, ProcessEnd::Replaced),
            (8, ProcessEnd::Running),
            (7, ProcessEnd::Exited),
            (9, ProcessEnd::Exited),
        ];
        assert_eq!(ends, expected);
        assert!(processes.iter().all(|process| process.policy == "general" && process.name == "cc1plus"));
    }

    #[test]
    fn totals() {
        let records = [
            record(1, 2, (0, 100), 10),
            record(2, 2, (10, 20), 7),
            record(3, 2, (20, 40), 5),
            record(4, 1, (41, 50), 9),
        ];
        let merged = Records { processes: processes(&records, |_| false), unreadable: 0 }.merged();
        assert_eq!((merged.records, merged.exited, merged.cut_short), (4, 3, 1));
        assert_eq!((merged.figures.growths, merged.figures.live_blocks), (16, Some(12)));
        assert_eq!((merged.figures.peak_live_bytes, merged.figures.peak_committed), (Some(10), 20));
        assert_eq!((merged.peak_live_bytes_together, merged.peak_committed_together), (22, 44));
        let none = Records::default().merged();
        assert_eq!((none.records, none.figures, none.peak_live_bytes_together), (0, Figures::default(), 0));
    }

    #[test]
    fn unreadable_files_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
        file("highwater-1-a.rec", &record(1, 2, (1, 2), 3).to_bytes());
        file("highwater-2-b.rec", &[0; 4096]);
        file("highwater-3-c.rec", b"cut");
        file("other", b"text");
        let records = Records::read(dir.path()).unwrap();
        assert_eq!((records.processes.len(), records.unreadable), (1, 2));
        assert!(Records::read(&dir.path().join("none")).is_err());
    }

    #[test]
    fn figures_that_were_not_recorded_are_unknown() {
        let cut = record(1, 1, (1, 2), 0);
        let figures = processes(&[cut], |_| false)[0].figures;
        assert_eq!((figures.peak_live_bytes, figures.faults(), figures.live_blocks), (None, None, Some(3)));
        let figures = processes(&[record(1, 2, (1, 2), 0)], |_| false)[0].figures;
        assert_eq!((figures.peak_live_bytes, figures.faults()), (Some(0), Some(0)));
    }

    #[test]
    fn zombies_are_not_alive() {
        assert!(is_zombie("12 (a) b) Z 1 2 3"));
        assert!(!is_zombie("12 (Z) S 1 2 3"));
        assert!(is_alive(std::process::id().into()));
        assert!(!is_alive(0) && !is_alive(u64::MAX));
    }

    #[test]
    fn an_unknown_policy() {
        let strange = record(1, 2, (1, 2), 3);
        strange.set(RecordField::Policy, 99);
        assert_eq!(processes(&[strange], |_| false)[0].policy, "unknown");
    }
}
