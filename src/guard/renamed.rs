//! Names that these types had before.

/// The former name of [`ViolationKind`](super::ViolationKind).
///
/// ```
/// # #![allow(deprecated)]
/// assert_eq!(highwater::guard::Kind::Overflow, highwater::guard::ViolationKind::Overflow);
/// ```
#[deprecated(since = "0.1.0", note = "renamed to `ViolationKind`")]
pub type Kind = super::ViolationKind;

/// The former name of [`EventKind`](super::EventKind).
#[cfg(feature = "debug-arena")]
#[deprecated(since = "0.1.0", note = "renamed to `EventKind`")]
pub type What = super::EventKind;

/// The former name of [`ViolationHook`](super::ViolationHook).
#[deprecated(since = "0.1.0", note = "renamed to `ViolationHook`")]
pub type Hook = super::ViolationHook;

/// The former name of [`RegionView`](super::RegionView).
#[deprecated(since = "0.1.0", note = "renamed to `RegionView`")]
pub type View = super::RegionView;

/// The former name of [`PageState`](super::PageState).
#[deprecated(since = "0.1.0", note = "renamed to `PageState`")]
pub type Place = super::PageState;

/// The former name of [`FaultInfo`](super::FaultInfo).
#[deprecated(since = "0.1.0", note = "renamed to `FaultInfo`")]
pub type Fault = super::FaultInfo;

/// The former name of [`FaultVerdict`](super::FaultVerdict).
#[deprecated(since = "0.1.0", note = "renamed to `FaultVerdict`")]
pub type Verdict = super::FaultVerdict;
