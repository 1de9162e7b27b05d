//! The engine of the library, and the engine that arenas get.

use crate::abi::{HwError, Status};
use crate::error::{plain, status};
use highwater::{Engine, RegionEngine};

/// `hw_engine`.
pub(crate) fn number(engine: RegionEngine) -> u32 {
    match engine {
        RegionEngine::Explicit => 1,
        RegionEngine::Paged => 2,
        // Also what a later version of the library may have beside them.
        _ => 0,
    }
}

/// `hw_engine_choice`.
pub(crate) fn choice(number: u32) -> Result<Option<RegionEngine>, HwError> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(RegionEngine::Fault)),
        2 => Ok(Some(RegionEngine::Explicit)),
        3 => Ok(Some(RegionEngine::Paged)),
        other => Err(HwError::new(Status::Options, format_args!("{other} is no hw_engine_choice"))),
    }
}

#[unsafe(no_mangle)]
extern "C" fn hw_library_engine() -> u32 {
    number(match highwater::engine() {
        Engine::Fault => RegionEngine::Fault,
        Engine::Explicit => RegionEngine::Explicit,
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_set_engine(engine: u32, error: *mut HwError) -> Status {
    status(error, || Ok(highwater::set_engine(choice(engine)?)?))
}

#[unsafe(no_mangle)]
extern "C" fn hw_default_engine() -> u32 {
    plain(|| number(highwater::default_engine()))
}
