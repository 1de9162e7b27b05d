//! The process that measures itself.

use std::{
    ffi::{CStr, c_void},
    process::ExitCode,
    ptr,
};

use bumpalo::Bump;
use clap::Args;
use highwater::Arena;

use super::{
    plan::{Plan, Subject, Told},
    subject::{Malloc, Nobody, Scoped},
    work,
};
use crate::{failure::Failure, machine, output};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "malloctest-child";

/// Be the process that measures itself.
#[derive(Args)]
pub struct ChildArgs {
    #[arg(value_parser = Plan::parse)]
    plan: Plan,
}

/// Does what the plan says, and prints what was measured.
pub fn run(args: &ChildArgs) -> Result<ExitCode, Failure> {
    let plan = &args.plan;
    let malloc_from = malloc_from();
    let rss_before = machine::rss();
    let (shape, write) = (&plan.shape, plan.write);
    let measured = match plan.subject {
        Subject::Malloc => work::run::<Malloc>(shape, write),
        Subject::Arena => work::run::<Arena>(shape, write),
        Subject::Scope => work::run::<Scoped>(shape, write),
        Subject::Bumpalo => work::run::<Bump>(shape, write),
        Subject::Nobody => work::run::<Nobody>(shape, write),
    };
    let measured = measured.map_err(Failure::runtime)?;
    let told = Told {
        malloc_from,
        repeat_ns: measured.repeat_ns,
        thread_ns: measured.thread_ns,
        user_ns: measured.usage.user_ns,
        system_ns: measured.usage.system_ns,
        page_faults: measured.usage.page_faults,
        peak_rss: measured.peak_rss,
        rss_before,
        asked: measured.asked,
        verified: measured.verified,
    };
    output::print(&serde_json::to_string(&told).map_err(Failure::runtime)?, ExitCode::SUCCESS)
}

/// The object in whose code the `malloc` is that this process calls.
fn malloc_from() -> Option<String> {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // The symbol's address in this program may be a stub's; the dynamic loader knows where it leads.
    // SAFETY: both arguments are what the call takes, the name ends with a NUL.
    let malloc = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"malloc".as_ptr()) };
    // SAFETY: any address may be asked about; `info` is written to or left.
    let known = unsafe { libc::dladdr(malloc.cast::<c_void>(), &raw mut info) };
    if malloc.is_null() || known == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a string of the dynamic loader's, which lives as long as the object.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(name.to_string_lossy().into_owned())
}
