//! The kinds of violation in words.

use highwater::guard::Kind;

/// What a kind is, and how it is provoked here.
pub struct Words {
    /// Where the touch is.
    pub what: &'static str,
    /// What is done, with N for what `--by` says.
    pub how: &'static str,
}

/// The kind of that name.
pub fn named(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// What is said of a kind.
pub fn words(kind: Kind) -> Words {
    let (what, how) = match kind {
        Kind::Overflow => ("past the end of an allocation", "byte N behind it"),
        Kind::Underflow => ("before an allocation's start", "N bytes, found when given up"),
        Kind::UseAfterReset => ("in what was given up", "byte N of it, after a reset"),
        Kind::Unallocated => ("where no allocation is", "byte N behind the last guard"),
        Kind::BeyondReach => ("too far past the frontier", "N bytes past a reach of 1 MiB"),
        Kind::EndOfReservation => ("behind the last byte", "byte N of the guard there"),
        Kind::BeforeHead => ("before the first byte", "N bytes before it, in the guard"),
        Kind::PlacedGuard => ("in a guard that was placed", "byte N of it"),
        _ => ("a kind that is new", "not yet by this command"),
    };
    Words { what, how }
}

/// Whether what is touched belongs to an allocation whose size and alignment matter.
pub fn has_allocation(kind: Kind) -> bool {
    matches!(kind, Kind::Overflow | Kind::Underflow | Kind::UseAfterReset)
}

/// One line for each kind.
pub fn list() -> String {
    let line = |kind: Kind| {
        let Words { what, how } = words(kind);
        format!("{:<19} {what}: {how}", kind.name())
    };
    Kind::ALL.map(line).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_words() {
        for kind in Kind::ALL {
            assert_eq!(named(kind.name()), Some(kind));
            assert!(!words(kind).what.contains("new"), "{kind}");
        }
        assert_eq!(named("all"), None);
        assert!(list().lines().all(|line| line.len() <= 80), "{}", list());
        assert_eq!(list().lines().count(), Kind::ALL.len());
    }
}
