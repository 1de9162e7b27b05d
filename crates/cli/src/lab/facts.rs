//! What figures depend on besides the code: shown with every result.

use std::{
    fs, thread,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

use crate::{machine, size::human};

/// The build and the machine it ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of this program.
    pub version: String,
    /// The commit it was built from, if in a checkout; with `-dirty` if the tree had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether it was built with optimisation.
    pub optimised: bool,
    /// The engine by which regions grow in this build.
    pub engine: String,
    /// `Linux 6.18.0`.
    pub kernel: String,
    /// `x86_64`.
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The number this process can use.
    pub cores: usize,
    /// The machine's memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes available at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    /// `always`, `madvise` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<String>,
    /// The load average over a minute at the start: other work makes figures larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Seconds since 1970.
    pub unix_time: u64,
}

impl Facts {
    /// Gathers the facts.
    pub fn gather() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let system = uname().ok();
        let of = |text: Option<&std::ffi::OsStr>| {
            text.map_or_else(|| "unknown".to_owned(), |text| text.to_string_lossy().into_owned())
        };
        let release = of(system.as_ref().map(|system| system.release()));
        let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let selected = |text: String| Some(text.split(['[', ']']).nth(1)?.to_owned());
        Facts {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("HIGHWATER_COMMIT").map(Into::into),
            optimised: !cfg!(debug_assertions),
            engine: highwater::engine().to_string(),
            // What follows the number names the distribution or the host.
            kernel: format!(
                "{} {}",
                of(system.as_ref().map(|system| system.sysname())),
                release.split('-').next().unwrap_or_default()
            ),
            architecture: std::env::consts::ARCH.into(),
            cpu: cpu.map(|(_, name)| name.trim().to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory: machine::mem_info().map(|memory| memory.total),
            available: machine::available().map(|available| available.bytes),
            huge_pages: read("/sys/kernel/mm/transparent_hugepage/enabled").and_then(selected),
            load: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            unix_time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }

    /// The facts in one line.
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
    fn the_line_has_the_essential_facts() {
        let facts = Facts::gather();
        assert!(facts.cores > 0 && facts.unix_time > 0);
        let line = facts.line();
        assert!(line.contains(env!("CARGO_PKG_VERSION")) && line.contains(&facts.kernel), "{line}");
        assert_eq!(line.contains("NOT OPTIMISED"), cfg!(debug_assertions));
        assert!(!facts.kernel.contains('-'), "{line}");
    }
}
