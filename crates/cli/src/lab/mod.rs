//! Fair measurement: what all of the `bench` commands have in common.
//!
//! A [`Contest`] lets contenders do the same job in turn, round after round, on a warmed machine, and makes a
//! [`Case`] of it: samples, ratios to one of them, and the word "tie" where the spread is larger than the
//! difference. Cases, the machine's [`Facts`] and pictures are the [`Findings`] of a bench, which are printed,
//! written as JSON and CSV, and labelled if Ctrl-C cut them short.

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
    alloc::Alloc,
    case::{Case, Metric},
    contest::{Contest, Lab, Warming},
    deliver::{check, deliver},
    facts::Facts,
    findings::Findings,
    options::LabArgs,
    sample::{Figure, Ratio, Sample, Verdict},
    unit::Unit,
};
