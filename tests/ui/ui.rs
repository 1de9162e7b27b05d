//! What the borrow checker must allow, and what it must not: each program under `pass` builds and runs,
//! each under `fail` is refused with the message beside it.

#[path = "../support/skip.rs"]
mod skip;

use std::process::Command;

/// The compiler whose messages stand beside the programs.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn programs() {
    let programs = trybuild::TestCases::new();
    programs.pass("pass/*.rs");
    let version = Command::new(option_env!("RUSTC").unwrap_or("rustc")).arg("--version").output();
    let version =
        version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if version.starts_with(COMPILER) {
        programs.compile_fail("fail/*.rs");
    } else {
        skip::skip(&format!("the messages are those of {COMPILER}x, this is {}", version.trim()));
    }
}
