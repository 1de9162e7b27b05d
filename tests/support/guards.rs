//! Touching what must not be touched, and reading what is said about it.

use highwater::{Arena, GuardMechanism, GuardPolicy};
use serde_json::Value;
use std::io::{PipeReader, PipeWriter, Read};

/// Reads or writes one byte at any address.
pub fn touch(address: usize, write: bool) {
    let place = std::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: only given addresses of regions of this process; the tests expect it to fault.
    unsafe {
        if write {
            place.write_volatile(1);
        } else {
            std::hint::black_box(place.read_volatile());
        }
    }
}

/// Whether the running kernel has guards by advice, as the library finds it.
pub fn has_advice() -> bool {
    let guard = GuardPolicy::default().mechanism(GuardMechanism::Advice);
    !cfg!(highwater_portable) && Arena::builder().reserve(1 << 20).guard(guard).checked().try_build().is_ok()
}

/// The mechanisms that can be forced here. Says so if one cannot.
pub fn mechanisms() -> Vec<GuardMechanism> {
    let mut all = vec![GuardMechanism::Protect];
    if has_advice() {
        all.push(GuardMechanism::Advice);
    } else {
        super::skip("the kernel has no MADV_GUARD_INSTALL: only guards by mprotect are tested");
    }
    all
}

/// Asks the kernel whether bytes are accessible, without a fault: write(2) from a page that is not is EFAULT.
#[derive(Debug)]
pub struct Probe(PipeReader, PipeWriter);

impl Probe {
    pub fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        Probe(reader, writer)
    }

    /// Whether a byte can be read by the kernel on our behalf.
    #[track_caller]
    pub fn is_open(&mut self, address: usize) -> bool {
        let place = std::ptr::with_exposed_provenance::<u8>(address);
        // SAFETY: the kernel checks the address.
        let written = unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&self.1), place.cast(), 1) };
        if written == 1 {
            self.0.read_exact(&mut [0]).unwrap();
            return true;
        }
        let error = std::io::Error::last_os_error();
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT), "{error}");
        false
    }

    /// Whether not one byte of a range can be read; looks at the first and the last byte of each page.
    #[track_caller]
    pub fn is_closed(&mut self, range: std::ops::Range<usize>) -> bool {
        let page = super::raw::page();
        let mut pages = range.step_by(page);
        pages.all(|start| !self.is_open(start) && !self.is_open(start + page - 1))
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

/// The reports in JSON that a child wrote.
pub fn reports(stderr: &str) -> Vec<Value> {
    let lines = stderr.lines().filter(|line| line.starts_with("{\"highwater\":\"guard\""));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Writes to descriptor 2, also inside a signal.
pub fn to_stderr(text: &str) {
    // SAFETY: the bytes are readable.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}
