//! `highwater guard`: provoke a guard violation, and show its report.

pub mod args;
mod child;
mod drawing;
mod hook;
mod kinds;
mod layout;
mod outcome;
mod plan;
mod provoke;

use std::process::ExitCode;

use highwater::{Engine, guard::ViolationKind};
use serde::Serialize;

use self::{
    args::{ALL, GuardArgs},
    outcome::GuardOutcome,
};
use crate::{failure::Failure, output};

/// Runs the subcommand.
pub fn run(args: &GuardArgs) -> Result<ExitCode, Failure> {
    if let Some(plan) = &args.provoke {
        return provoke::provoke(plan, args.json);
    }
    let Some(name) = &args.kind else { return list(args.json) };
    let plans = args.plans(name)?;
    if highwater::engine() != Engine::Fault {
        return Err(Failure::runtime(format!(
            "this build of highwater has no fault engine (its engine is {}): it does \
             not report touches of guards",
            highwater::engine()
        )));
    }
    let outcomes = plans
        .iter()
        .map(|plan| Ok(GuardOutcome::of(plan, args.json, child::run(plan, args.json)?)))
        .collect::<Result<Vec<_>, _>>()?;
    let text = match (args.json, outcomes.as_slice()) {
        (true, [one]) if name != ALL => json(one)?,
        (true, all) => json(&all)?,
        (false, all) => all.iter().map(GuardOutcome::human).collect::<Vec<_>>().join("\n\n\n"),
    };
    let status = output::print(&text, ExitCode::SUCCESS)?;
    let wrong: Vec<_> = outcomes.iter().filter_map(GuardOutcome::failure).collect();
    if wrong.is_empty() { Ok(status) } else { Err(Failure::runtime(wrong.join("; "))) }
}

fn list(as_json: bool) -> Result<ExitCode, Failure> {
    #[derive(Serialize)]
    struct KindEntry {
        kind: &'static str,
        what: &'static str,
        how: &'static str,
    }
    if as_json {
        let entries = ViolationKind::ALL.map(|kind| {
            let kinds::KindDescription { what, how } = kinds::description(kind);
            KindEntry { kind: kind.name(), what, how }
        });
        return output::print(&json(&entries)?, ExitCode::SUCCESS);
    }
    let text = format!(
        "{}\n\nN is the value of --by, 1 by default. `highwater guard KIND` provokes one in\n\
         a child process and shows its report; `highwater guard {ALL}` provokes all.",
        kinds::list()
    );
    output::print(&text, ExitCode::SUCCESS)
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::runtime)
}
