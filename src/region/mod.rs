//! The one concept everything stands on: a reserved address range with a committed frontier.

mod atomic;
mod border;
mod charge;
mod commit;
mod control;
mod decommit;
mod describe;
mod error;
mod file_mapping;
#[cfg(not(highwater_portable))]
mod fork;
mod free;
mod frontier;
mod guard_error;
mod guard_list;
mod guards;
mod injection;
mod make;
mod mapping;
mod monitor;
mod name;
mod options;
mod policy_words;
mod pool;
mod region_type;
mod registry;
mod role;
mod space;
mod spill;

pub(crate) use charge::{charge_within, charged, uncharge};
pub(crate) use control::ControlBlock;
pub use error::BuildError;
#[cfg(not(highwater_portable))]
pub(crate) use fork::keep_addresses;
pub use guard_error::GuardError;
pub(crate) use injection::{InjectionRule, InjectionWords};
pub use monitor::{Monitor, committed_of};
#[cfg(feature = "debug-arena")]
pub(crate) use name::NameInMaps;
pub(crate) use name::{NAME_BYTES, RegionName, text_of, up_to_zero};
pub(crate) use options::{BackingSource, RegionOptions};
pub(crate) use pool::{committed_untouched, live as live_control_blocks};
pub use region_type::Region;
#[cfg(highwater_fault)]
pub(crate) use registry::find;
pub(crate) use role::Role;
pub(crate) use spill::SpillOutcome;
