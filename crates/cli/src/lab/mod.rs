//! Fair measurement: what all `bench` subcommands have in common.
//!
//! A [`Contest`] runs contenders that do the same job in turn, round after round, on a warmed machine. Its result is a
//! [`Case`]: samples, ratios to one of the contenders, and a tie where the spread is larger than the difference. Cases, the
//! machine's [`Facts`] and charts are the [`Findings`] of a bench, which are printed, written as JSON and CSV, and labelled
//! if Ctrl-C cut them short.

mod alloc;
mod case;
pub mod chart;
mod contest;
mod csv;
mod deliver;
mod facts;
mod findings;
mod options;
pub mod process;
mod progress;
mod sample;
pub mod text;
pub mod unit;

pub use self::{
    alloc::BenchAlloc,
    case::{Case, Metric},
    contest::{Contest, Lab, Warming},
    deliver::{check, deliver},
    facts::Facts,
    findings::Findings,
    options::LabArgs,
    sample::{Figure, Ratio, RatioVerdict, RunSample},
    unit::Unit,
};
