//! The ways in which memory can grow.

use serde::{Deserialize, Serialize};

use crate::size::human;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Steps that are compared.
pub const STEPS: [usize; 8] = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB];
/// And where it is to be quick.
pub const QUICK_STEPS: [usize; 3] = [4 * KIB, 64 * KIB, MIB];

/// Who decides that memory is committed, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// All of the reservation is there from the start; the kernel pages it in.
    Upfront,
    /// The same, with as much reserved as the machine has memory.
    UpfrontPhysical,
    /// A fault, which commits so many bytes.
    Fixed(usize),
    /// A fault, which commits more each time.
    Geometric,
    /// A branch in the loop that writes, which asks for so many bytes more.
    Explicit(usize),
    /// `Vec::push`.
    Vec,
    /// `bumpalo::Bump::alloc`.
    Bumpalo,
    /// One block of the size that will be needed, which is known.
    Malloc,
}

/// One of the contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    pub engine: Engine,
    /// A step's pages are made present at once.
    pub populate: bool,
    /// Huge pages are asked for.
    pub huge: bool,
}

impl Way {
    /// What the library does where nothing else is asked for.
    pub const DEFAULT: Way = Way { engine: Engine::Geometric, populate: true, huge: true };

    pub fn new(engine: Engine, populate: bool, huge: bool) -> Self {
        Way { engine, populate, huge }
    }

    /// All of them, the default first.
    pub fn all(steps: &[usize]) -> Vec<Way> {
        let mut all = vec![Way::DEFAULT];
        for huge in [false, true] {
            all.push(Way::new(Engine::Upfront, false, huge));
            all.push(Way::new(Engine::UpfrontPhysical, false, huge));
        }
        let switches = [(false, false), (true, false), (false, true), (true, true)];
        for (populate, huge) in switches {
            let way = Way::new(Engine::Geometric, populate, huge);
            all.extend((way != Way::DEFAULT).then_some(way));
        }
        for (populate, huge) in switches {
            all.extend(steps.iter().map(|step| Way::new(Engine::Fixed(*step), populate, huge)));
        }
        for huge in [false, true] {
            all.extend(steps.iter().map(|step| Way::new(Engine::Explicit(*step), false, huge)));
        }
        all.extend([Engine::Vec, Engine::Bumpalo, Engine::Malloc].map(|peer| Way::new(peer, false, false)));
        all
    }

    /// In tables and charts.
    pub fn name(self) -> String {
        let mut name = match self.engine {
            Engine::Upfront => "upfront".to_owned(),
            Engine::UpfrontPhysical => "upfront, physical".to_owned(),
            Engine::Fixed(step) => format!("fixed {}", step_name(step)),
            Engine::Geometric => "geometric".to_owned(),
            Engine::Explicit(step) => format!("explicit {}", step_name(step)),
            Engine::Vec => "Vec".to_owned(),
            Engine::Bumpalo => "bumpalo".to_owned(),
            Engine::Malloc => "malloc, size known".to_owned(),
        };
        if self.populate {
            name.push_str(", populated");
        }
        if self.huge {
            name.push_str(", huge pages");
        }
        name
    }

    /// One of this project's.
    pub fn is_ours(self) -> bool {
        !matches!(self.engine, Engine::Vec | Engine::Bumpalo | Engine::Malloc)
    }

    /// Grows by being touched.
    pub fn needs_faults(self) -> bool {
        matches!(self.engine, Engine::Fixed(_) | Engine::Geometric)
    }
}

/// `64 KiB`.
pub fn step_name(bytes: usize) -> String {
    human(bytes as u64).replace(".00", "")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_way_once() {
        let all = Way::all(&STEPS);
        let names: HashSet<_> = all.iter().map(|way| way.name()).collect();
        assert_eq!(names.len(), all.len());
        assert_eq!(all[0].name(), "geometric, populated, huge pages");
        for name in
            ["upfront", "upfront, physical, huge pages", "fixed 4 KiB", "fixed 64 MiB, populated", "Vec"]
        {
            assert!(names.contains(name), "{name}");
        }
    }
}
