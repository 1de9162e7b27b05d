//! The resource usage of the process, as counted by the kernel.

use std::ops::{Add, Sub};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

/// The usage of the whole process, including helper threads of an allocator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Processor time in the program.
    pub user_ns: u64,
    /// Processor time in the kernel.
    pub system_ns: u64,
    /// Page faults.
    pub page_faults: u64,
}

impl ProcessUsage {
    /// The usage so far; zero if the system does not report it.
    pub fn now() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Self::default() };
        let page_faults = usage.minor_page_faults() + usage.major_page_faults();
        Self {
            user_ns: ns(usage.user_time()),
            system_ns: ns(usage.system_time()),
            // A `long` in C.
            page_faults: u64::try_from(page_faults).unwrap_or(0),
        }
    }
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn ns(time: TimeVal) -> u64 {
    let (seconds, micros) = (time.tv_sec() as i64, time.tv_usec() as i64);
    seconds.max(0).cast_unsigned() * 1_000_000_000 + micros.max(0).cast_unsigned() * 1000
}

impl Add for ProcessUsage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns + other.user_ns,
            system_ns: self.system_ns + other.system_ns,
            page_faults: self.page_faults + other.page_faults,
        }
    }
}

impl Sub for ProcessUsage {
    type Output = Self;

    /// Saturates: the kernel splits user and system time by ticks, and may correct it downwards.
    fn sub(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns.saturating_sub(other.user_ns),
            system_ns: self.system_ns.saturating_sub(other.system_ns),
            page_faults: self.page_faults.saturating_sub(other.page_faults),
        }
    }
}
