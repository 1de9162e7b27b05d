//! What an error still says later, and figures at their borders.

use super::kind::{builder, try_with_capacity};
use highwater::{BuildError, Cause, GuardPolicy, OutOfMemory, Region};

#[test]
fn an_error_knows_the_arena_that_is_gone() {
    fn parse(name: &str) -> Result<(), OutOfMemory> {
        let arena = builder().name(name).limit(4096).build();
        arena.try_alloc([0u8; 5000]).map(drop)
    }
    let (parser, lexer) = (parse("parser").unwrap_err(), parse("lexer").unwrap_err());
    assert!(parser.to_string().starts_with("arena \"parser\" out of memory: requested 5000 B"), "{parser}");
    assert_ne!(parser, lexer);
    assert_eq!(parser, parser.clone());
    assert!(format!("{parser:?}").contains("parser"));
}

#[test]
fn a_name_with_control_characters_stays_on_its_line() {
    let arena = builder().name("red\n\x1b[31m").limit(4096).build();
    let error = arena.try_alloc([0u8; 5000]).unwrap_err().to_string();
    assert!(error.starts_with("arena \"red__[31m\" out of memory"), "{error}");
}

#[test]
fn a_capacity_beyond_everything_is_named() {
    let error = try_with_capacity(usize::MAX).unwrap_err();
    assert_eq!((error.cause(), error.requested()), (Cause::AddressSpace, usize::MAX), "{error}");
}

#[test]
fn the_effective_size_has_all_of_the_padding() {
    let arena = builder().limit(10).build();
    let error = arena.try_alloc([0u8; 9]).unwrap_err();
    assert_eq!((error.requested(), error.cause()), (9, Cause::RegionLimit));
    assert!(error.to_string().contains("requested 9 B (effective 16 B), used 0 B"), "{error}");
}

#[test]
fn guards_count_as_address_space() {
    if cfg!(highwater_portable) {
        return; // nothing is guarded there
    }
    let guard = GuardPolicy::default().after(1 << 46);
    let error = Region::builder().reserve(1 << 20).guard(guard).try_build().unwrap_err();
    assert!(matches!(error, BuildError::AddressSpace { reserve: 1048576, .. }), "{error}");
}

#[test]
fn limits_that_mean_nothing_are_refused_by_name() {
    for (builder, named) in [
        (builder().limit(0), "limit of 0 bytes"),
        (builder().reserve(1 << 20).limit(2 << 20), "2097152 bytes"),
        (builder().limit(usize::MAX), "address space"),
    ] {
        let error = builder.try_build().unwrap_err().to_string();
        assert!(error.contains(named) && !error.contains('\n'), "{error}");
    }
    // A limit beyond the default reserve asks for a larger one.
    if usize::BITS == 64 && !cfg!(highwater_portable) {
        let arena = builder().limit(128 << 30).build();
        assert!(arena.reserved_bytes() >= 128 << 30);
    }
}
