//! How the library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libhighwater_malloc.so");
        // Blocks outlive dlclose, and so must the code that frees them.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Its constructor runs before all others, so that the handlers of forks that they register run around its own.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,initfirst");
        // No symbol is bound lazily: the loader would run in the middle of a call of malloc.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,now");
    }
}
