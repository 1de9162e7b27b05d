//! Whether somebody opened a file, however soon they were gone.

use std::path::Path;

#[cfg(target_os = "linux")]
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A file that is watched.
#[derive(Debug)]
pub struct Opened {
    #[cfg(target_os = "linux")]
    events: Inotify,
}

impl Opened {
    /// `None` where the system does not tell.
    #[cfg(target_os = "linux")]
    pub fn watch(file: &Path) -> Option<Self> {
        let events = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
        events.add_watch(file, AddWatchFlags::IN_OPEN).ok()?;
        Some(Self { events })
    }

    /// `None` where the system does not tell.
    #[cfg(not(target_os = "linux"))]
    pub fn watch(_: &Path) -> Option<Self> {
        None
    }

    /// Whether it was opened since this was asked last.
    pub fn since(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.events.read_events().is_ok_and(|events| !events.is_empty());
        #[cfg(not(target_os = "linux"))]
        return false;
    }
}
