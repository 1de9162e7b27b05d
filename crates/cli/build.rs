//! Puts the commit that the command was built from into it: a measurement names the code that was measured.

use std::{path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(commit) = git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]) else {
        return;
    };
    println!("cargo::rustc-env=HIGHWATER_COMMIT={commit}");
    // What moves the commit, and what makes the tree differ from it. A path that is not there would mean
    // building anew each time.
    let logs = git(&["rev-parse", "--git-path", "logs/HEAD"]).unwrap_or_default();
    for path in [logs.as_str(), "src", "Cargo.toml", "../../src", "../../Cargo.toml"] {
        if !path.is_empty() && Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// What git says, if it is there and this is a checkout.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
