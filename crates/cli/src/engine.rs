//! `HIGHWATER_REGION_ENGINE`: which engine the arenas of this command get. The library reads no environment.

use std::env;

use highwater::RegionEngine;

use crate::failure::Failure;

/// The variable.
const NAME: &str = "HIGHWATER_REGION_ENGINE";

/// Chooses the engine that the environment asks for, if it does, for all regions made from now on. A variable that is
/// empty asks for nothing.
pub fn from_environment() -> Result<(), Failure> {
    let Some(text) = env::var_os(NAME).filter(|text| !text.is_empty()) else { return Ok(()) };
    let text = text.to_string_lossy();
    let refused = |why: String| Failure::refused(format!("{NAME}={text:?}: {why}"));
    let engine: RegionEngine = text.parse().map_err(|why| refused(format!("{why}")))?;
    highwater::set_engine(Some(engine)).map_err(|why| refused(why.to_string()))
}
