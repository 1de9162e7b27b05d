//! The strategies by which memory grows.

use serde::{Deserialize, Serialize};

use crate::size::human;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The step sizes that are compared.
pub const STEPS: [usize; 8] = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB];
/// Those with `--quick`.
pub const QUICK_STEPS: [usize; 3] = [4 * KIB, 64 * KIB, MIB];

/// What commits memory, and how much at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrowthMethod {
    /// The library's defaults: geometric steps by faults, huge pages, and the first pages of a step populated.
    Default,
    /// The whole reservation is committed at the start; the kernel pages it in.
    Upfront,
    /// The same with a reservation as large as the machine's memory.
    UpfrontPhysical,
    /// A fault commits this many bytes.
    Fixed(usize),
    /// A fault commits more each time.
    Geometric,
    /// A branch in the writing loop commits this many bytes more.
    Explicit(usize),
    /// `Vec::push`.
    Vec,
    /// `bumpalo::Bump::alloc`.
    Bumpalo,
    /// One block of the known size.
    Malloc,
}

/// A strategy of growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrowthStrategy {
    pub engine: GrowthMethod,
    /// Populate the pages of a step.
    pub populate: bool,
    /// Advise huge pages.
    pub huge: bool,
}

impl GrowthStrategy {
    /// The library's defaults.
    pub const DEFAULT: GrowthStrategy =
        GrowthStrategy { engine: GrowthMethod::Default, populate: false, huge: true };

    pub fn new(engine: GrowthMethod, populate: bool, huge: bool) -> Self {
        GrowthStrategy { engine, populate, huge }
    }

    /// All strategies, the default first.
    pub fn all(steps: &[usize]) -> Vec<GrowthStrategy> {
        let mut all = vec![GrowthStrategy::DEFAULT];
        for huge in [false, true] {
            all.push(GrowthStrategy::new(GrowthMethod::Upfront, false, huge));
            all.push(GrowthStrategy::new(GrowthMethod::UpfrontPhysical, false, huge));
        }
        let switches = [(false, false), (true, false), (false, true), (true, true)];
        all.extend(
            switches.map(|(populate, huge)| GrowthStrategy::new(GrowthMethod::Geometric, populate, huge)),
        );
        for (populate, huge) in switches {
            all.extend(
                steps.iter().map(|step| GrowthStrategy::new(GrowthMethod::Fixed(*step), populate, huge)),
            );
        }
        for huge in [false, true] {
            all.extend(
                steps.iter().map(|step| GrowthStrategy::new(GrowthMethod::Explicit(*step), false, huge)),
            );
        }
        all.extend(
            [GrowthMethod::Vec, GrowthMethod::Bumpalo, GrowthMethod::Malloc]
                .map(|peer| GrowthStrategy::new(peer, false, false)),
        );
        all
    }

    /// The name in tables and charts.
    pub fn name(self) -> String {
        let mut name = match self.engine {
            GrowthMethod::Default => return "default".to_owned(),
            GrowthMethod::Upfront => "upfront".to_owned(),
            GrowthMethod::UpfrontPhysical => "upfront, physical".to_owned(),
            GrowthMethod::Fixed(step) => format!("fixed {}", step_name(step)),
            GrowthMethod::Geometric => "geometric".to_owned(),
            GrowthMethod::Explicit(step) => format!("explicit {}", step_name(step)),
            GrowthMethod::Vec => "Vec".to_owned(),
            GrowthMethod::Bumpalo => "bumpalo".to_owned(),
            GrowthMethod::Malloc => "malloc, size known".to_owned(),
        };
        if self.populate {
            name.push_str(", populated");
        }
        if self.huge {
            name.push_str(", huge pages");
        }
        name
    }

    /// Whether it is one of this project's.
    pub fn is_ours(self) -> bool {
        !matches!(self.engine, GrowthMethod::Vec | GrowthMethod::Bumpalo | GrowthMethod::Malloc)
    }

    /// Whether it needs the fault engine.
    pub fn needs_faults(self) -> bool {
        matches!(self.engine, GrowthMethod::Default | GrowthMethod::Fixed(_) | GrowthMethod::Geometric)
    }
}

/// A size in words: `64 KiB`.
pub fn step_name(bytes: usize) -> String {
    human(bytes as u64).replace(".00", "")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_strategy_once() {
        let all = GrowthStrategy::all(&STEPS);
        let names: HashSet<_> = all.iter().map(|strategy| strategy.name()).collect();
        assert_eq!(names.len(), all.len());
        assert_eq!(all[0].name(), "default");
        for name in
            ["upfront", "upfront, physical, huge pages", "fixed 4 KiB", "fixed 64 MiB, populated", "Vec"]
        {
            assert!(names.contains(name), "{name}");
        }
    }
}
