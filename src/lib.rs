// Of two definitions of a link the first one counts: here the links of README lead to the guide, elsewhere to files.
#![doc = include_str!("guide/links.md")]
#![doc = include_str!("../README.md")]
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "debug-arena",
        feature = "global-alloc",
        feature = "heap",
        feature = "log",
        feature = "shared",
        feature = "vec"
    )),
    allow(rustdoc::broken_intra_doc_links, reason = "links lead to what other features add")
)]

mod admission;
mod arena;
mod builder;
mod engine;
mod fallible;
pub mod fault;
#[cfg(highwater_fault)]
mod foreign_fault;
mod grow;
#[cfg_attr(
    not(any(highwater_fault, feature = "debug-arena")),
    allow(dead_code, unused_imports, reason = "such a build has no violations")
)]
pub mod guard;
#[cfg(any(
    doc,
    all(doctest, feature = "debug-arena", feature = "heap", feature = "shared", feature = "vec")
))]
pub mod guide;
#[cfg(feature = "heap")]
#[cfg_attr(docsrs, doc(cfg(feature = "heap")))]
pub mod heap;
#[cfg(feature = "internal")]
pub mod internal;
#[cfg_attr(
    not(feature = "internal"),
    allow(dead_code, unused_imports, reason = "`internal` hands out more of it")
)]
mod math;
mod policy;
#[cfg_attr(
    not(any(highwater_fault, feature = "debug-arena")),
    allow(dead_code, unused_imports, reason = "such a build has no violations")
)]
mod region;
#[cfg_attr(
    not(any(highwater_fault, all(feature = "internal", feature = "debug-arena"))),
    allow(
        dead_code,
        unused_imports,
        reason = "such a build has no violations, or no refusal that ends the process"
    )
)]
mod report;
pub mod stats;
#[cfg_attr(
    not(all(feature = "internal", feature = "heap", feature = "debug-arena")),
    allow(dead_code, unused_imports, reason = "`internal`, heaps and ledgers use more of it")
)]
mod sys;
mod template;
#[cfg(feature = "vec")]
mod vec;

/// Running out of memory: limits, causes, errors, what follows a refusal, and reports.
///
/// The page [out of memory](crate::guide::out_of_memory) explains every cause.
pub mod oom {
    pub use crate::admission::{
        AllocErr, AllocOrInitError, Answer, Cause, Injection, OutOfMemory, RefusalHook, Response,
        committed_bytes, inject, process_limit, set_process_limit,
    };
    pub use crate::report::{Report, dump_on_signal, report_to_file, report_to_sink, set_report_format};
}

pub use admission::{AllocErr, AllocOrInitError, Cause, OutOfMemory};
pub use arena::*;
pub use builder::Builder;
pub use engine::{default_engine, set_engine};
pub use fault::{Engine, engine};
pub use policy::{
    Backing, Growth, GuardMechanism, GuardPolicy, Headroom, HugePages, OnViolation, RegionEngine,
    ReportFormat, Reserve, UnknownEngine,
};
pub use region::{BuildError, GuardError, Monitor, Region, committed_of};
pub use stats::{GrowthEvent, Stats};
#[cfg(feature = "vec")]
pub use vec::{AppendVec, Drain, GrowVec, IntoIter, SharedVec};
