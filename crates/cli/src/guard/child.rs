//! Runs the child and collects its output.

use std::{
    env,
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Stdio},
};

use nix::sys::signal::Signal;

use super::{hook::ViolationReport, layout::Layout, plan::GuardPlan};
use crate::failure::{Failure, one_line};

/// The output of a child that got as far as printing its layout.
pub struct GuardChildOutput {
    pub layout: Layout,
    /// The line its hook wrote, if it was called.
    pub hook_report: Option<ViolationReport>,
    /// Its stderr: the report.
    pub stderr: String,
    pub status: ExitStatus,
}

impl GuardChildOutput {
    /// The signal that ended it.
    pub fn signal(&self) -> Option<Signal> {
        Signal::try_from(self.status.signal()?).ok()
    }
}

/// Runs this command again as the child that touches the guard.
pub fn run(plan: &GuardPlan, json: bool) -> Result<GuardChildOutput, Failure> {
    let cannot = |error| Failure::runtime(format!("{}: cannot start a child: {error}", plan.kind));
    let text = serde_json::to_string(plan).map_err(Failure::runtime)?;
    let output = Command::new(env::current_exe().map_err(cannot)?)
        .args(["guard", "--provoke", &text])
        .args(json.then_some("--json"))
        .stdin(Stdio::null())
        .output()
        .map_err(cannot)?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines = stdout.lines();
    let Some(layout) = lines.next().and_then(|line| serde_json::from_str(line).ok()) else {
        let error = one_line(&stderr);
        let error = error.strip_prefix("error: ").unwrap_or(&error);
        let error = if error.is_empty() { "no error message" } else { error };
        let status = output.status;
        return Err(Failure::runtime(format!(
            "{}: the child failed before the touch ({status}): {error}",
            plan.kind
        )));
    };
    let hook_report = lines.next().and_then(|line| serde_json::from_str(line).ok());
    Ok(GuardChildOutput { layout, hook_report, stderr, status: output.status })
}
