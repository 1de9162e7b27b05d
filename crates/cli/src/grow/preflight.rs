//! Whether a job can be done at all, asked before it begins.

use std::fs::OpenOptions;

use super::{aim::Aim, args::GrowArgs, nodes::Nodes, settings::Settings};
use crate::{failure::Failure, machine, size::human};

/// The others' share of a comparison takes so much more than an arena: `malloc` spends 32 bytes on 24,
/// and the vectors a pointer for each.
const WITH_PEERS: (u64, u64) = (7, 4);

/// Below this a rough guess does not change how an arena is made.
const ROUGHLY: u64 = 32 << 30;

/// The memory that one arena will need, at a guess.
pub fn needs_of_one(aim: &Aim, args: &GrowArgs) -> usize {
    let threads = u64::from(args.threads);
    let bytes = match aim {
        Aim::Bytes(bytes) => Nodes { bytes: *bytes as u64, threads }.largest_share(),
        // Files are not cut in pieces: one thread may get the largest and little else.
        Aim::Inputs(_) if aim.needs() <= ROUGHLY => aim.needs(),
        Aim::Inputs(_) => aim.needs_precisely(),
    };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The memory all of it will need, at a guess.
pub fn needs_of_all(aim: &Aim, compare: bool) -> u64 {
    with_peers(aim.needs(), compare)
}

/// Refuses what cannot be: more than there is, an arena that cannot be made, a plot that cannot be
/// written.
pub fn check(aim: &Aim, settings: &Settings, args: &GrowArgs) -> Result<(), Failure> {
    fits(aim, settings, args)?;
    can_be_made(aim, settings, args)?;
    if let Some(file) = &args.plot {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .map_err(|error| Failure::asked(format!("cannot write {}: {error}", file.display())))?;
    }
    Ok(())
}

fn with_peers(bytes: u64, compare: bool) -> u64 {
    let (times, over) = WITH_PEERS;
    if compare { bytes.saturating_mul(times) / over } else { bytes }
}

fn fits(aim: &Aim, settings: &Settings, args: &GrowArgs) -> Result<(), Failure> {
    let (free, whose) = match settings.dir() {
        // The others have no file behind them, so memory is what counts when there are others.
        Some(dir) if !args.compare => (machine::free_disk(dir), format!("free in {}", dir.display())),
        _ => match machine::available() {
            Some(available) => (Some(available.bytes), format!("{} has available", available.of)),
            None => (None, String::new()),
        },
    };
    let Some(free) = free else { return Ok(()) };
    if needs_of_all(aim, args.compare) <= free {
        return Ok(());
    }
    let needs = with_peers(aim.needs_precisely(), args.compare);
    if needs <= free {
        return Ok(());
    }
    let what = match aim {
        Aim::Bytes(bytes) if args.compare => {
            format!("comparing {} takes about {}", human(*bytes as u64), human(needs))
        }
        Aim::Bytes(_) => format!("{} to grow", human(needs)),
        Aim::Inputs(inputs) => {
            format!("an index of {} takes about {}", human(inputs.bytes), human(needs))
        }
    };
    Err(Failure::asked(format!("{what}: more than the {} {whose}", human(free))))
}

/// Makes all arenas once (which costs microseconds), and looks at what was got.
fn can_be_made(aim: &Aim, settings: &Settings, args: &GrowArgs) -> Result<(), Failure> {
    let mut arenas = Vec::with_capacity(args.threads.into());
    for _ in 0..args.threads {
        arenas.push(settings.build().map_err(Failure::asked)?);
    }
    // How large an index gets is a guess; it may fit in less.
    let Aim::Bytes(_) = aim else { return Ok(()) };
    let least = arenas.iter().map(|arena| arena.reserved_bytes()).min().unwrap_or(usize::MAX);
    if least < settings.needs() {
        return Err(Failure::asked(format!(
            "a reserve of {} cannot hold the {} of an arena",
            human(least as u64),
            human(settings.needs() as u64)
        )));
    }
    Ok(())
}
