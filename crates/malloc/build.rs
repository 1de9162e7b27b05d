//! How the library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libhighwater_malloc.so");
        // Blocks outlive dlclose, and so does who frees them.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Its constructor runs before all others: what they register to be called around forks is called outside of ours.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,initfirst");
        // Nothing is bound lazily: the loader would run in the middle of a malloc.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,now");
    }
}
