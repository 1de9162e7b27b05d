//! What the borrow checker must allow, and what it must not: each program under `ui/pass` builds and runs,
//! each under `ui/fail` is refused with the message beside it.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]

mod support;

use std::process::Command;

/// The compiler whose messages stand beside the programs.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn programs() {
    let programs = trybuild::TestCases::new();
    programs.pass("tests/ui/pass/*.rs");
    let version = Command::new(option_env!("RUSTC").unwrap_or("rustc")).arg("--version").output();
    let version =
        version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if version.starts_with(COMPILER) {
        programs.compile_fail("tests/ui/fail/*.rs");
    } else {
        support::skip(&format!("the messages are those of {COMPILER}x, this is {}", version.trim()));
    }
}
