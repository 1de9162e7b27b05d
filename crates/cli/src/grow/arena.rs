//! The arena of this project as a candidate.

use highwater::{Arena, Scope};

use super::{
    alloc::{Candidate, FrontierProbe},
    report::RegionFigures,
    settings::ArenaSettings,
    trace::FrontierStep,
};

impl Candidate for Arena {
    type Handle<'a> = Scope<'a>;

    fn make(settings: &ArenaSettings) -> Result<Self, String> {
        settings.build()
    }

    fn handle(&mut self) -> Scope<'_> {
        self.scope()
    }

    fn frontier(&self) -> Option<FrontierProbe> {
        let monitor = self.monitor();
        Some(Box::new(move || monitor.stats().map(|stats| stats.committed as u64)))
    }

    fn region(&self) -> Option<RegionFigures> {
        let stats = self.stats();
        Some(RegionFigures {
            committed: stats.committed as u64,
            reserved: stats.reserved as u64,
            growth_steps: stats.commits,
            faults: stats.faults,
            growth_ns: stats.growth_ns,
            populated: stats.populated,
        })
    }

    fn steps(&self) -> Vec<FrontierStep> {
        let id = self.id();
        highwater::stats::recent_growth()
            .into_iter()
            .filter(|event| event.region == id)
            .map(|event| FrontierStep {
                at_ns: event.at_ns,
                duration_ns: event.duration_ns,
                from: event.offset as u64,
                bytes: event.bytes as u64,
            })
            .collect()
    }
}
