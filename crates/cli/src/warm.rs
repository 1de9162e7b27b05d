//! Warming the machine up for a fair measurement.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use memmap2::MmapMut;

use crate::{failure::Failure, interrupt, lab::process, machine};

const PAGE: usize = 4096;
/// Bytes touched between two checks for Ctrl-C.
const CHUNK: usize = 64 << 20;

/// The hidden subcommand that [`memory_for`] starts.
pub const SUBCOMMAND: &str = "warm-up";

/// Warms the machine up for a run that will use `bytes` of memory.
///
/// On a virtual machine the first use of a guest page also pays for the host's backing of it, which can cost ten
/// times as much as everything else; once touched, the page is backed. A separate process does it, because a
/// process passes its own peak on to the children it forks.
pub fn memory_for(bytes: u64) -> Result<(), Failure> {
    if bytes == 0 || interrupt::requested() {
        return Ok(());
    }
    // Somewhat more than the run needs, since it will not get exactly the same pages.
    let bytes = bytes.saturating_add(bytes / 4).saturating_add(32 << 20);
    let limit = machine::available().map_or(u64::MAX, |available| available.bytes / 8 * 7);
    let cannot = |reason: String| Failure::runtime(format!("cannot warm the machine up: {reason}"));
    let output = process::this_command([SUBCOMMAND, &bytes.min(limit).to_string()])
        .and_then(|mut command| process::run(&mut command, false))
        .map_err(|error| cannot(error.to_string()))?;
    if output.outcome.status.success() || interrupt::requested_soon() {
        return Ok(());
    }
    Err(cannot(format!("the process that does it ended with {}", output.outcome.status)))
}

/// Touches `bytes` as huge pages and releases them.
pub fn memory(bytes: usize) -> Result<(), Failure> {
    touch(bytes).map_err(|error| Failure::runtime(format!("cannot warm the machine up: {error}")))
}

/// Maps `bytes`, or as much as limits (`ulimit -v`) allow: warming less than the run will use is better than nothing.
fn map(mut bytes: usize) -> io::Result<Option<MmapMut>> {
    while bytes > 0 {
        match MmapMut::map_anon(bytes) {
            Ok(map) => return Ok(Some(map)),
            Err(error) if bytes < CHUNK => return Err(error),
            Err(_) => bytes -= bytes / 4,
        }
    }
    Ok(None)
}

fn touch(bytes: usize) -> io::Result<()> {
    let Some(mut map) = map(bytes)? else { return Ok(()) };
    // A kernel without huge pages touches small ones: slower, with the same effect.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    for chunk in map.chunks_mut(CHUNK) {
        if interrupt::requested() {
            break;
        }
        for offset in (0..chunk.len()).step_by(PAGE) {
            chunk[offset] = 1;
        }
    }
    Ok(())
}

/// Reads the files once, so that every run finds them in the page cache. A file that cannot be read is reported by
/// the run.
pub fn files<'a>(paths: impl Iterator<Item = &'a PathBuf>) {
    let mut buffer = vec![0; 1 << 20];
    for path in paths {
        let Ok(mut file) = File::open(path) else { continue };
        while !interrupt::requested() && matches!(file.read(&mut buffer), Ok(1..)) {}
    }
}
