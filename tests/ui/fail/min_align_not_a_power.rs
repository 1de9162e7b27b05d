//! A minimum alignment is a power of two up to 4096.

fn main() {
    highwater::Arena::<24>::with_min_align().alloc(1u64);
}
