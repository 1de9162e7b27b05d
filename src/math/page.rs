//! Rounding.

/// Bytes in a kibibyte.
pub const KIB: usize = 1 << 10;
/// Bytes in a mebibyte.
pub const MIB: usize = 1 << 20;
/// Bytes in a gibibyte.
#[cfg(target_pointer_width = "64")]
pub const GIB: usize = 1 << 30;

/// Bytes in a transparent huge page on the targets we know (`x86_64`, and `aarch64` with 4 KiB pages).
///
/// It is used as a grain only: with another huge page size everything still works, just less well.
pub const HUGE_PAGE: usize = 2 * MIB;

/// `value` rounded down to a multiple of `align`, a power of two.
///
/// ```
/// # use highwater::internal::math::page::align_down;
/// assert_eq!(align_down(4097, 4096), 4096);
/// ```
#[inline(always)]
pub const fn align_down(value: usize, align: usize) -> usize {
    debug_assert!(align.is_power_of_two(), "an alignment is a power of two");
    value & !(align - 1)
}

/// `value` rounded up to a multiple of `align`, a power of two; `None` where that is no `usize`.
///
/// ```
/// # use highwater::internal::math::page::align_up;
/// assert_eq!(align_up(1, 4096), Some(4096));
/// assert_eq!(align_up(usize::MAX, 2), None);
/// ```
#[inline(always)]
pub const fn align_up(value: usize, align: usize) -> Option<usize> {
    debug_assert!(align.is_power_of_two(), "an alignment is a power of two");
    match value.checked_add(align - 1) {
        Some(sum) => Some(sum & !(align - 1)),
        None => None,
    }
}

/// [`align_up`] that stops at the largest multiple of `align` instead of failing.
///
/// ```
/// # use highwater::internal::math::page::align_up_saturating;
/// assert_eq!(align_up_saturating(usize::MAX, 4096), usize::MAX - 4095);
/// ```
#[inline(always)]
pub const fn align_up_saturating(value: usize, align: usize) -> usize {
    match align_up(value, align) {
        Some(up) => up,
        None => align_down(usize::MAX, align),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_brackets_the_value(value: usize, shift in 0u32..63) {
            let align = 1usize << shift;
            let down = align_down(value, align);
            prop_assert!(down <= value && value - down < align && down.is_multiple_of(align));
            match align_up(value, align) {
                Some(up) => prop_assert!(up >= value && up - value < align && up.is_multiple_of(align)),
                None => prop_assert!(value > usize::MAX - (align - 1)),
            }
            prop_assert!(align_up_saturating(value, align).is_multiple_of(align));
        }
    }
}
