//! Watches whether a file is opened.

use std::path::Path;

#[cfg(target_os = "linux")]
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A watch on a file.
#[derive(Debug)]
pub struct OpenWatch {
    #[cfg(target_os = "linux")]
    events: Inotify,
}

impl OpenWatch {
    /// Starts the watch. `None` if the system has no such notification.
    #[cfg(target_os = "linux")]
    pub fn watch(file: &Path) -> Option<Self> {
        let events = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
        events.add_watch(file, AddWatchFlags::IN_OPEN).ok()?;
        Some(Self { events })
    }

    /// Starts the watch. `None` if the system has no such notification.
    #[cfg(not(target_os = "linux"))]
    pub fn watch(_: &Path) -> Option<Self> {
        None
    }

    /// Whether it was opened since the last call.
    pub fn was_opened(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.events.read_events().is_ok_and(|events| !events.is_empty());
        #[cfg(not(target_os = "linux"))]
        return false;
    }
}
