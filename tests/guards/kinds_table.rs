//! The table of violations: every kind, in every region, with every response.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, GuardMechanism, OnViolation, ReportFormat};
use support::raw::page;

/// An arena without alignment of its own: a block of any size can end right at its guard.
pub type Debug = Arena<1, true>;

/// Whose region it is.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    Region,
    Arena,
    Debug,
}

/// How an allocation is given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Reset,
    ScopeEnd,
    ResetTo,
    #[cfg(feature = "allocator-api2")]
    Free,
    /// With the arena.
    Drop,
}

pub const WAYS: &[Way] = &[
    Way::Reset,
    Way::ScopeEnd,
    Way::ResetTo,
    #[cfg(feature = "allocator-api2")]
    Way::Free,
];

#[derive(Clone, Copy, Debug)]
pub enum Scene {
    Overflow {
        size: usize,
        align: usize,
    },
    /// Written behind or before an allocation of 5 bytes aligned to 8, in its own pages.
    SlackBehind(Way),
    SlackBefore(Way),
    UseAfter(Way),
    Unallocated,
    BeyondReach,
    EndOfReservation(Whose),
    BeforeHead(Whose),
    /// By the builder or by `guard_at`, at an offset.
    Placed(Whose, bool, usize),
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub scene: Scene,
    /// The last byte of what is forbidden, or the first.
    pub last: bool,
    pub write: bool,
    pub mechanism: GuardMechanism,
    pub response: OnViolation,
    pub format: ReportFormat,
    pub hook: bool,
}

pub const RESERVE: usize = 16 << 20;
pub const REACH: usize = 0x10000;
pub const PLACED: usize = 0x4000;
/// In what is committed from the start, and past it.
pub const PLACED_AT: [usize; 2] = [0x4000, 0x40000];

pub fn before() -> usize {
    3 * page()
}

pub fn after() -> usize {
    2 * page()
}

/// What follows, how it is told, and whether there is a hook.
pub const RESPONSES: [(OnViolation, ReportFormat, bool); 5] = [
    (OnViolation::Die, ReportFormat::Json, false),
    (OnViolation::Die, ReportFormat::Json, true),
    (OnViolation::Abort, ReportFormat::Json, false),
    (OnViolation::Abort, ReportFormat::Text, true),
    (OnViolation::Die, ReportFormat::Text, false),
];

/// The table: the same in the parent and in its children.
pub fn rows() -> Vec<Row> {
    use GuardMechanism::{Advice, Protect};
    let mut rows = Vec::new();
    for (i, align) in (0..=12).map(|shift| 1 << shift).enumerate() {
        for (j, size) in [1, 7, 24, 4095, 4096, 4097, 100_000].into_iter().enumerate() {
            for mechanism in [Advice, Protect] {
                // Of the rest, some: the rows below have all of it.
                let (scene, last, write) =
                    (Scene::Overflow { size, align }, (i / 2 + j) % 2 == 0, (i + j) % 2 == 0);
                let (response, format, hook) = RESPONSES[rows.len() % RESPONSES.len()];
                rows.push(Row { scene, last, write, mechanism, response, format, hook });
            }
        }
    }
    let mut add = |scene, last, write, mechanism| {
        let row = |(response, format, hook)| Row { scene, last, write, mechanism, response, format, hook };
        rows.extend(RESPONSES.map(row));
    };
    for last in [false, true] {
        for mechanism in [Advice, Protect] {
            for &way in WAYS.iter().chain(&[Way::Drop]) {
                add(Scene::SlackBehind(way), last, true, mechanism);
                add(Scene::SlackBefore(way), last, true, mechanism);
            }
        }
        for write in [false, true] {
            for mechanism in [Advice, Protect] {
                add(Scene::Overflow { size: 24, align: 16 }, last, write, mechanism);
                add(Scene::Unallocated, last, write, mechanism);
                for &way in WAYS {
                    add(Scene::UseAfter(way), last, write, mechanism);
                }
                for (whose, at) in [Whose::Region, Whose::Arena, Whose::Debug]
                    .into_iter()
                    .flat_map(|whose| PLACED_AT.map(|at| (whose, at)))
                {
                    add(Scene::Placed(whose, true, at), last, write, mechanism);
                    add(Scene::Placed(whose, false, at), last, write, mechanism);
                }
            }
            for whose in [Whose::Region, Whose::Arena, Whose::Debug] {
                add(Scene::EndOfReservation(whose), last, write, GuardMechanism::Auto);
                add(Scene::BeforeHead(whose), last, write, GuardMechanism::Auto);
            }
            add(Scene::BeyondReach, last, write, GuardMechanism::Auto);
        }
    }
    rows
}
