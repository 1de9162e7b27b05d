//! Runs the same job on every candidate, each in a separate process.

use std::process::ExitCode;

use clap::ValueEnum as _;

use super::{
    args::{CandidateKind, GrowArgs},
    child::{self, ChildOutcome},
    json, preflight,
    report::{self, Comparison, FailedRun, RatioToHighwater},
    table, warm_up,
    workload::Workload,
};
use crate::{failure::Failure, interrupt, output};

/// Runs all candidates in turn. If highwater fails the command fails; the failure of a peer is only reported.
pub fn run(workload: &Workload, args: &GrowArgs) -> Result<ExitCode, Failure> {
    let mut all = Comparison {
        command: "grow",
        partial: false,
        runs: Vec::new(),
        ratios: Vec::new(),
        failed: Vec::new(),
    };
    let bytes = preflight::estimate_in_total(workload, true);
    for allocator in CandidateKind::value_variants() {
        if !interrupt::requested() {
            warm_up(*allocator, workload, bytes)?;
        }
        if interrupt::requested() {
            all.partial = true;
            break;
        }
        match child::measure(*allocator)? {
            ChildOutcome::Completed(run) => {
                all.partial |= run.partial;
                all.runs.push(*run);
            }
            ChildOutcome::Failed { status: Some(status), .. } if *allocator == CandidateKind::Highwater => {
                // It has printed the reason.
                return Ok(ExitCode::from(status));
            }
            ChildOutcome::Failed { .. } if interrupt::requested() => {
                all.partial = true;
                break;
            }
            ChildOutcome::Failed { reason, .. } => {
                output::note(&format!("{}: {reason}", allocator.name()));
                all.failed.push(FailedRun { allocator: allocator.name(), reason });
            }
        }
    }
    if let Some((first, others)) = all.runs.split_first()
        && first.allocator == CandidateKind::Highwater.name()
    {
        all.ratios = others.iter().filter_map(|other| RatioToHighwater::of(other, first)).collect();
    }
    if all.runs.is_empty() && all.partial {
        return Err(Failure::interrupted());
    }
    let text = if args.json { json(&all)? } else { table::of_comparison(&all) };
    output::print(&text, ExitCode::from(report::status(all.partial)))
}
