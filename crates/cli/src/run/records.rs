//! What the processes of a run left behind, and what that is together.

use std::{collections::HashMap, fs, io, path::Path};

use highwater::heap::record::{Field, Record};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use serde::Serialize;

use crate::allocators::policy;

/// How the record of a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With its exit handlers.
    Exited,
    /// The process went on with another program, which has a record of its own.
    Replaced,
    /// The process still runs.
    Running,
    /// Without a last word: it was killed, or ended without exit handlers.
    CutShort,
}

impl End {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Replaced => "became another",
            Self::Running => "still runs",
            Self::CutShort => "cut short",
        }
    }
}

/// A process, or one of the programs that it was. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    pub name: String,
    pub process: u64,
    pub parent: u64,
    pub end: End,
    pub policy: &'static str,
    #[serde(flatten)]
    pub figures: Figures,
    /// On the monotonic clock.
    pub started_ns: u64,
    pub written_ns: u64,
}

/// What is told of a process, and of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub growths: u64,
    pub refusals: u64,
    pub reserved: u64,
    pub committed: u64,
    pub peak_committed: u64,
    pub live_blocks: u64,
    pub live_bytes: u64,
    pub peak_live_bytes: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub peak_resident: u64,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// How many records there are, and how many of each end.
    pub records: usize,
    pub exited: usize,
    pub replaced: usize,
    pub running: usize,
    pub cut_short: usize,
    /// What can be added up is added up; peaks are the largest process's.
    #[serde(flatten)]
    pub figures: Figures,
    /// The most that the peaks of processes that lived at the same time add up to: all of them together had no more.
    pub peak_committed_together: u64,
    /// The same of what was live.
    pub peak_live_bytes_together: u64,
}

/// The records of a directory, the oldest first.
#[derive(Debug, Default)]
pub struct Records {
    pub processes: Vec<Process>,
    /// Files that are not whole, or of another version of the library.
    pub unreadable: usize,
}

impl Records {
    /// Reads all there are.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let mut records = Vec::new();
        let mut unreadable = 0;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "rec") {
                continue;
            }
            match fs::read(&path).ok().and_then(|bytes| Record::read(&bytes)) {
                Some(record) => records.push(record),
                None => unreadable += 1,
            }
        }
        Ok(Self { processes: processes(&records, is_alive), unreadable })
    }

    /// All together.
    pub fn merged(&self) -> Merged {
        let count = |end| self.processes.iter().filter(|process| process.end == end).count();
        Merged {
            records: self.processes.len(),
            exited: count(End::Exited),
            replaced: count(End::Replaced),
            running: count(End::Running),
            cut_short: count(End::CutShort),
            figures: sum(&self.processes),
            peak_committed_together: together(&self.processes, |figures| figures.peak_committed),
            peak_live_bytes_together: together(&self.processes, |figures| figures.peak_live_bytes),
        }
    }
}

fn is_alive(process: u64) -> bool {
    let Ok(id) = i32::try_from(process) else { return false };
    id > 0 && matches!(kill(Pid::from_raw(id), None), Ok(()) | Err(Errno::EPERM))
}

fn processes(records: &[Record], is_alive: impl Fn(u64) -> bool) -> Vec<Process> {
    let mut last: HashMap<u64, u64> = HashMap::new();
    for record in records {
        let started = last.entry(record.get(Field::Process)).or_default();
        *started = record.get(Field::Started).max(*started);
    }
    let mut processes: Vec<_> = records.iter().map(|record| process(record, &last, &is_alive)).collect();
    processes.sort_by_key(|process| (process.started_ns, process.process));
    processes
}

fn process(record: &Record, last: &HashMap<u64, u64>, is_alive: &impl Fn(u64) -> bool) -> Process {
    let get = |field| record.get(field);
    let id = get(Field::Process);
    let end = match get(Field::State) {
        2 => End::Exited,
        _ if last.get(&id).is_some_and(|started| *started > get(Field::Started)) => End::Replaced,
        _ if is_alive(id) => End::Running,
        _ => End::CutShort,
    };
    Process {
        name: String::from_utf8_lossy(&record.name()).into_owned(),
        process: id,
        parent: get(Field::Parent),
        end,
        policy: usize::try_from(get(Field::Policy))
            .ok()
            .and_then(|policy| policy::NAMES.get(policy))
            .unwrap_or(&"unknown"),
        figures: Figures {
            growths: get(Field::Growths),
            refusals: get(Field::Refusals),
            reserved: get(Field::Reserved),
            committed: get(Field::Committed),
            peak_committed: get(Field::PeakCommitted),
            live_blocks: get(Field::LiveBlocks),
            live_bytes: get(Field::LiveBytes),
            peak_live_bytes: get(Field::PeakLiveBytes),
            minor_faults: get(Field::MinorFaults),
            major_faults: get(Field::MajorFaults),
            peak_resident: get(Field::PeakResident),
        },
        started_ns: get(Field::Started),
        written_ns: get(Field::Written).max(get(Field::Started)),
    }
}

/// Counts and ends add up, peaks do not: of those the largest.
pub fn sum(processes: &[Process]) -> Figures {
    processes.iter().map(|process| process.figures).fold(Figures::default(), |a, b| Figures {
        growths: a.growths.saturating_add(b.growths),
        refusals: a.refusals.saturating_add(b.refusals),
        reserved: a.reserved.max(b.reserved),
        committed: a.committed.saturating_add(b.committed),
        peak_committed: a.peak_committed.max(b.peak_committed),
        live_blocks: a.live_blocks.saturating_add(b.live_blocks),
        live_bytes: a.live_bytes.saturating_add(b.live_bytes),
        peak_live_bytes: a.peak_live_bytes.max(b.peak_live_bytes),
        minor_faults: a.minor_faults.saturating_add(b.minor_faults),
        major_faults: a.major_faults.saturating_add(b.major_faults),
        peak_resident: a.peak_resident.max(b.peak_resident),
    })
}

fn together(processes: &[Process], peak: impl Fn(&Figures) -> u64) -> u64 {
    // It can only be largest when one begins.
    let at = |now: u64| {
        let live =
            processes.iter().filter(|process| (process.started_ns..=process.written_ns).contains(&now));
        live.map(|process| peak(&process.figures)).fold(0, u64::saturating_add)
    };
    processes.iter().map(|process| at(process.started_ns)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of process `id`, from and to these times, with such a peak.
    fn record(id: u64, state: u64, times: (u64, u64), peak: u64) -> Record {
        let record = Record::default();
        record.begin(b"cc1plus");
        for (field, value) in [
            (Field::Process, id),
            (Field::State, state),
            (Field::Started, times.0),
            (Field::Written, times.1),
            (Field::PeakCommitted, 2 * peak),
            (Field::PeakLiveBytes, peak),
            (Field::LiveBlocks, 3),
            (Field::Growths, 4),
        ] {
            record.set(field, value);
        }
        record
    }

    #[test]
    fn how_each_ended() {
        let records = [
            record(9, 2, (50, 60), 1),
            record(7, 1, (10, 15), 1),
            record(7, 2, (20, 30), 1),
            record(8, 1, (12, 30), 1),
            record(6, 1, (1, 2), 1),
        ];
        let processes = processes(&records, |id| id == 8);
        let ends: Vec<_> = processes.iter().map(|process| (process.process, process.end)).collect();
        let expected =
            [(6, End::CutShort), (7, End::Replaced), (8, End::Running), (7, End::Exited), (9, End::Exited)];
        assert_eq!(ends, expected);
        assert!(processes.iter().all(|process| process.policy == "general" && process.name == "cc1plus"));
    }

    #[test]
    fn all_together() {
        let records = [
            record(1, 2, (0, 100), 10),
            record(2, 2, (10, 20), 7),
            record(3, 2, (20, 40), 5),
            record(4, 1, (41, 50), 9),
        ];
        let merged = Records { processes: processes(&records, |_| false), unreadable: 0 }.merged();
        assert_eq!((merged.records, merged.exited, merged.cut_short), (4, 3, 1));
        assert_eq!((merged.figures.growths, merged.figures.live_blocks), (16, 12));
        assert_eq!((merged.figures.peak_live_bytes, merged.figures.peak_committed), (10, 20));
        assert_eq!((merged.peak_live_bytes_together, merged.peak_committed_together), (22, 44));
        let none = Records::default().merged();
        assert_eq!((none.records, none.figures, none.peak_live_bytes_together), (0, Figures::default(), 0));
    }

    #[test]
    fn files_that_are_none() {
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
    fn a_policy_of_the_future() {
        let strange = record(1, 2, (1, 2), 3);
        strange.set(Field::Policy, 99);
        assert_eq!(processes(&[strange], |_| false)[0].policy, "unknown");
    }
}
