//! Checks before a job starts whether it can be done.

use std::fs::OpenOptions;

use super::{args::GrowArgs, nodes::Nodes, settings::ArenaSettings, workload::Workload};
use crate::{failure::Failure, machine, size::human};

/// How much more memory the peers of a comparison need than an arena: `malloc` uses 32 bytes for 24, and the vectors a
/// pointer for each.
const PEER_OVERHEAD: (u64, u64) = (7, 4);

/// Up to this size a rough estimate does not affect the arena's reservation.
const ROUGH_ESTIMATE_MAX: u64 = 32 << 30;

/// Estimated memory for one arena.
pub fn estimate_per_arena(workload: &Workload, args: &GrowArgs) -> usize {
    let threads = u64::from(args.threads);
    let bytes = match workload {
        Workload::Bytes(bytes) => Nodes { bytes: *bytes as u64, threads }.largest_share(),
        // Files are not split: one thread may get the largest file and little else.
        Workload::Inputs(_) if workload.estimated_memory() <= ROUGH_ESTIMATE_MAX => {
            workload.estimated_memory()
        }
        Workload::Inputs(_) => workload.estimated_memory_of_text(),
    };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Estimated memory for the whole job.
pub fn estimate_in_total(workload: &Workload, compare: bool) -> u64 {
    with_peers(workload.estimated_memory(), compare)
}

/// Refuses a job that needs more memory than there is, an arena that cannot be made, and a plot that cannot be written.
pub fn check(workload: &Workload, settings: &ArenaSettings, args: &GrowArgs) -> Result<(), Failure> {
    check_memory(workload, settings, args)?;
    check_arenas(workload, settings, args)?;
    if let Some(file) = &args.plot {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .map_err(|error| Failure::refused(format!("cannot write {}: {error}", file.display())))?;
    }
    Ok(())
}

fn with_peers(bytes: u64, compare: bool) -> u64 {
    let (numerator, denominator) = PEER_OVERHEAD;
    if compare { bytes.saturating_mul(numerator) / denominator } else { bytes }
}

fn check_memory(workload: &Workload, settings: &ArenaSettings, args: &GrowArgs) -> Result<(), Failure> {
    let (free, source) = match settings.dir() {
        // The peers have no file behind them, so with peers memory is what counts.
        Some(dir) if !args.compare => (machine::free_disk(dir), format!("free in {}", dir.display())),
        _ => match machine::available() {
            Some(available) => (Some(available.bytes), format!("{} has available", available.source)),
            None => (None, String::new()),
        },
    };
    let Some(free) = free else { return Ok(()) };
    if estimate_in_total(workload, args.compare) <= free {
        return Ok(());
    }
    let needs = with_peers(workload.estimated_memory_of_text(), args.compare);
    if needs <= free {
        return Ok(());
    }
    let what = match workload {
        Workload::Bytes(bytes) if args.compare => {
            format!("comparing {} takes about {}", human(*bytes as u64), human(needs))
        }
        Workload::Bytes(_) => format!("{} to grow", human(needs)),
        Workload::Inputs(inputs) => {
            format!("an index of {} takes about {}", human(inputs.bytes), human(needs))
        }
    };
    Err(Failure::refused(format!("{what}: more than the {} {source}", human(free))))
}

/// Makes all arenas once (which costs microseconds), and checks their reservations.
fn check_arenas(workload: &Workload, settings: &ArenaSettings, args: &GrowArgs) -> Result<(), Failure> {
    let mut arenas = Vec::with_capacity(args.threads.into());
    for _ in 0..args.threads {
        arenas.push(settings.build().map_err(Failure::refused)?);
    }
    // The size of an index is only an estimate; it may fit.
    let Workload::Bytes(_) = workload else { return Ok(()) };
    let smallest = arenas.iter().map(|arena| arena.reserved_bytes()).min().unwrap_or(usize::MAX);
    if smallest < settings.estimated_memory {
        return Err(Failure::refused(format!(
            "a reserve of {} cannot hold the {} of one arena",
            human(smallest as u64),
            human(settings.estimated_memory as u64)
        )));
    }
    Ok(())
}
