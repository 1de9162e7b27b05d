//! Running the child, and what it left behind.

use std::{
    env,
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Stdio},
};

use nix::sys::signal::Signal;

use super::{layout::Layout, plan::Plan, told::Told};
use crate::failure::{Failure, one_line};

/// A child that came as far as telling its layout.
pub struct Ended {
    pub layout: Layout,
    /// What its hook said, if it was called.
    pub told: Option<Told>,
    /// What it wrote on stderr: the report.
    pub stderr: String,
    pub status: ExitStatus,
}

impl Ended {
    /// What ended it.
    pub fn signal(&self) -> Option<Signal> {
        Signal::try_from(self.status.signal()?).ok()
    }
}

/// This very command again, as the process that touches the guard.
pub fn run(plan: &Plan, json: bool) -> Result<Ended, Failure> {
    let cannot = |error| Failure::during(format!("{}: cannot start a child: {error}", plan.kind));
    let text = serde_json::to_string(plan).map_err(Failure::during)?;
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
        let said = one_line(&stderr);
        let said = said.strip_prefix("error: ").unwrap_or(&said);
        let said = if said.is_empty() { "nothing".to_owned() } else { said.to_owned() };
        let status = output.status;
        return Err(Failure::during(format!(
            "{}: the child could not set the scene ({status}): {said}",
            plan.kind
        )));
    };
    let told = lines.next().and_then(|line| serde_json::from_str(line).ok());
    Ok(Ended { layout, told, stderr, status: output.status })
}
