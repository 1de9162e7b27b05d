//! Making the machine ready for a fair measurement.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use memmap2::MmapMut;

use crate::interrupt;

const PAGE: usize = 4096;
/// Touched between two looks at Ctrl-C.
const STRETCH: usize = 64 << 20;

/// Touches `bytes` as huge pages and gives them back.
///
/// On a virtual machine the first use of a guest page also pays for the host's backing of it, which
/// can be ten times the price of everything else; once touched, the host has it.
pub fn memory(bytes: usize) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let mut map = MmapMut::map_anon(bytes)?;
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
