//! Making the machine ready for a fair measurement.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use memmap2::MmapMut;

use crate::{failure::Failure, interrupt, lab::process, machine};

const PAGE: usize = 4096;
/// Touched between two looks at Ctrl-C.
const STRETCH: usize = 64 << 20;

/// The hidden subcommand that [`memory_for`] starts.
pub const SUBCOMMAND: &str = "warm-up";

/// Makes the machine ready for a run that will take `bytes` of memory.
///
/// On a virtual machine the first use of a guest page also pays for the host's backing of it, which
/// can be ten times the price of everything else; once touched, the host has it. A process of its own does
/// it: the peak of one that has a large past is told of its children too.
pub fn memory_for(bytes: u64) -> Result<(), Failure> {
    if bytes == 0 || interrupt::requested() {
        return Ok(());
    }
    // Some more than the run takes, since it will not get just the same pages.
    let bytes = bytes.saturating_add(bytes / 4).saturating_add(32 << 20);
    let most = machine::available().map_or(u64::MAX, |available| available.bytes / 8 * 7);
    let cannot = |why: String| Failure::during(format!("cannot warm the machine up: {why}"));
    let ended = process::again([SUBCOMMAND, &bytes.min(most).to_string()])
        .and_then(|mut command| process::run(&mut command, false))
        .map_err(|error| cannot(error.to_string()))?;
    if ended.how.status.success() || interrupt::settled() {
        return Ok(());
    }
    Err(cannot(format!("it ended with {}", ended.how.status)))
}

/// Touches `bytes` as huge pages and gives them back.
pub fn memory(bytes: usize) -> Result<(), Failure> {
    touch(bytes).map_err(|error| Failure::during(format!("cannot warm the machine up: {error}")))
}

/// So much, or as much as limits (`ulimit -v`) let this process have: less than the run will take is better than none.
fn map(mut bytes: usize) -> io::Result<Option<MmapMut>> {
    while bytes > 0 {
        match MmapMut::map_anon(bytes) {
            Ok(map) => return Ok(Some(map)),
            Err(error) if bytes < STRETCH => return Err(error),
            Err(_) => bytes -= bytes / 4,
        }
    }
    Ok(None)
}

fn touch(bytes: usize) -> io::Result<()> {
    let Some(mut map) = map(bytes)? else { return Ok(()) };
    // A kernel without huge pages warms small ones: slower, and as good.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    for stretch in map.chunks_mut(STRETCH) {
        if interrupt::requested() {
            break;
        }
        for at in (0..stretch.len()).step_by(PAGE) {
            stretch[at] = 1;
        }
    }
    Ok(())
}

/// Reads the files once, so that every run finds them in the page cache. What cannot be read is the
/// run's to report.
pub fn files<'a>(paths: impl Iterator<Item = &'a PathBuf>) {
    let mut buffer = vec![0; 1 << 20];
    for path in paths {
        let Ok(mut file) = File::open(path) else { continue };
        while !interrupt::requested() && matches!(file.read(&mut buffer), Ok(1..)) {}
    }
}
