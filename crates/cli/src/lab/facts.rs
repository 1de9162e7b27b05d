//! What figures depend on besides the code: told with every result.

use std::{
    fs, thread,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

use crate::{machine, size::human};

/// The machine, and what ran on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Of this program.
    pub version: String,
    /// That it was built from, if it was in a checkout; `-dirty` if that had changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Debug code is no measure of anything.
    pub optimised: bool,
    /// How regions grow in this build.
    pub engine: String,
    /// `Linux 6.18.0`.
    pub kernel: String,
    /// `x86_64`.
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// That this process may use.
    pub cores: usize,
    /// Bytes of memory that the machine has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes that could be had when this began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    /// `always`, `madvise` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<String>,
    /// Over a minute, when this began: with more than nothing to do, figures are larger than they should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Seconds since 1970.
    pub unix_time: u64,
}

impl Facts {
    /// As they are now.
    pub fn gather() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let system = uname().ok();
        let of = |text: Option<&std::ffi::OsStr>| {
            text.map_or_else(|| "unknown".to_owned(), |text| text.to_string_lossy().into_owned())
        };
        let release = of(system.as_ref().map(|system| system.release()));
        let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let chosen = |text: String| Some(text.split(['[', ']']).nth(1)?.to_owned());
        Facts {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("HIGHWATER_COMMIT").map(Into::into),
            optimised: !cfg!(debug_assertions),
            engine: highwater::engine().to_string(),
            // What stands behind the number names the machine's distributor or host.
            kernel: format!(
                "{} {}",
                of(system.as_ref().map(|system| system.sysname())),
                release.split('-').next().unwrap_or_default()
            ),
            architecture: std::env::consts::ARCH.into(),
            cpu: cpu.map(|(_, name)| name.trim().to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory: read("/proc/meminfo").and_then(|text| machine::field(&text, "MemTotal")),
            available: machine::available().map(|available| available.bytes),
            huge_pages: read("/sys/kernel/mm/transparent_hugepage/enabled").and_then(chosen),
            load: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            unix_time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let mut parts = vec![format!(
            "highwater {}{}, {} engine",
            self.version,
            self.commit.as_ref().map_or(String::new(), |commit| format!(" ({commit})")),
            self.engine
        )];
        parts.push(format!("{}, {}", self.kernel, self.architecture));
        let cpu = self.cpu.as_deref().unwrap_or("unknown processor");
        let cores = if self.cores == 1 { "core" } else { "cores" };
        parts.push(format!("{} {cores} of {cpu}", self.cores));
        parts.extend(self.memory.map(|bytes| format!("{} of memory", human(bytes))));
        parts.extend(self.huge_pages.as_ref().map(|mode| format!("transparent huge pages: {mode}")));
        parts.extend(self.load.map(|load| format!("load {load:.2}")));
        if !self.optimised {
            parts.push("NOT OPTIMISED".into());
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_counts() {
        let facts = Facts::gather();
        assert!(facts.cores > 0 && facts.unix_time > 0);
        let line = facts.line();
        assert!(line.contains(env!("CARGO_PKG_VERSION")) && line.contains(&facts.kernel), "{line}");
        assert_eq!(line.contains("NOT OPTIMISED"), cfg!(debug_assertions));
        assert!(!facts.kernel.contains('-'), "{line}");
    }
}
