//! How the dynamic library is linked, and which growth engine its symbols tell of.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HIGHWATER_ENGINE");
    let var = |name: &str| env::var(name).unwrap_or_default();
    let linux = var("CARGO_CFG_TARGET_OS") == "linux";
    if linux {
        // The kernel knows the address of the signal handler, and so do handlers that were installed later: the code
        // has to outlive dlclose.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }

    // The rule of the library's own build script; the library asserts that the two agree.
    let known_context = matches!(var("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64");
    let explicit = env::var_os("CARGO_FEATURE_EXPLICIT").is_some();
    let fault = match var("HIGHWATER_ENGINE").as_str() {
        "" => linux && known_context && !explicit,
        asked => asked == "fault",
    };
    if fault {
        println!("cargo::rustc-cfg=highwater_fault");
    }
    if linux {
        // The two engines have different symbols, and a process may have plug-ins of both: the loader takes two files
        // with one soname for the same. There is no stable interface before 1.0, and so no number.
        let name = if fault { "libhighwater.so" } else { "libhighwater_explicit.so" };
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{name}");
    }
    if !linux || var("HIGHWATER_ENGINE") == "portable" {
        println!("cargo::rustc-cfg=highwater_portable");
    }
}
