//! What stands on a region.

/// What a region is the memory of, as texts call it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Whatever the program builds on it.
    #[default]
    Region,
    Arena,
    Vector,
    Heap,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Role::Region => "region",
            Role::Arena => "arena",
            Role::Vector => "vector",
            Role::Heap => "heap",
        }
    }

    /// The role of a number that a role was cast to.
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Role::Arena,
            2 => Role::Vector,
            3 => Role::Heap,
            _ => Role::Region,
        }
    }
}
