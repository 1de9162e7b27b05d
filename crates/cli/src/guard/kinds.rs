//! Descriptions of the kinds of violation.

use highwater::guard::ViolationKind;

/// The description of a kind.
pub struct KindDescription {
    /// Where the touch is.
    pub what: &'static str,
    /// How it is provoked, where N is the value of `--by`.
    pub how: &'static str,
}

/// The kind with this name.
pub fn named(name: &str) -> Option<ViolationKind> {
    ViolationKind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// The description of a kind.
pub fn description(kind: ViolationKind) -> KindDescription {
    let (what, how) = match kind {
        ViolationKind::Overflow => ("past the end of an allocation", "byte N behind it"),
        ViolationKind::Underflow => ("before an allocation's start", "N bytes, detected when freed"),
        ViolationKind::UseAfterReset => ("in an allocation that was freed", "byte N of it, after a reset"),
        ViolationKind::Unallocated => ("where no allocation is", "byte N behind the last guard"),
        ViolationKind::BeyondReach => ("too far past the frontier", "N bytes past a reach of 1 MiB"),
        ViolationKind::EndOfReservation => ("behind the last byte", "byte N of the guard there"),
        ViolationKind::BeforeHead => ("before the first byte", "N bytes before it, in the guard"),
        ViolationKind::PlacedGuard => ("in a guard set by the user", "byte N of it"),
        _ => ("a new kind", "not supported by this command"),
    };
    KindDescription { what, how }
}

/// Whether the kind is about an allocation, whose size and alignment matter.
pub fn has_allocation(kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::Overflow | ViolationKind::Underflow | ViolationKind::UseAfterReset)
}

/// One line for each kind.
pub fn list() -> String {
    let line = |kind: ViolationKind| {
        let KindDescription { what, how } = description(kind);
        format!("{:<19} {what}: {how}", kind.name())
    };
    ViolationKind::ALL.map(line).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_a_description() {
        for kind in ViolationKind::ALL {
            assert_eq!(named(kind.name()), Some(kind));
            assert!(!description(kind).what.contains("new"), "{kind}");
        }
        assert_eq!(named("all"), None);
        assert!(list().lines().all(|line| line.len() <= 80), "{}", list());
        assert_eq!(list().lines().count(), ViolationKind::ALL.len());
    }
}
