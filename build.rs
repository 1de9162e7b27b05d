//! Decides which growth engine the target has.
//!
//! `fault` (a SIGSEGV handler commits what a write touches) exists on Linux for `x86_64` and
//! `aarch64`; everywhere else, and wherever SIGSEGV belongs to another runtime (a JVM, a Go runtime),
//! growth is `explicit`: the allocation check is made against the frontier.
//!
//! The cargo feature `explicit` or `HIGHWATER_ENGINE=explicit` in the build's environment forces the
//! latter. `HIGHWATER_ENGINE=portable` also replaces the Linux calls by the portable ones, which is
//! how the code for other systems is tested on Linux.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HIGHWATER_ENGINE");
    let var = |name: &str| env::var(name).unwrap_or_default();

    let linux = var("CARGO_CFG_TARGET_OS") == "linux" && env::var_os("CARGO_CFG_MIRI").is_none();
    let known_context = matches!(var("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64");
    let asked = var("HIGHWATER_ENGINE");
    let feature = env::var_os("CARGO_FEATURE_EXPLICIT").is_some();

    let portable = !linux || asked == "portable";
    let fault = match asked.as_str() {
        "explicit" | "portable" => false,
        "fault" if !(linux && known_context) => {
            panic!("HIGHWATER_ENGINE=fault: this target has no fault engine (Linux on x86_64 or aarch64 has)")
        }
        "fault" => true,
        "" => linux && known_context && !feature,
        other => panic!("HIGHWATER_ENGINE={other}: expected `fault`, `explicit` or `portable`"),
    };
    if fault {
        println!("cargo::rustc-cfg=highwater_fault");
    }
    if portable {
        println!("cargo::rustc-cfg=highwater_portable");
    }
}
