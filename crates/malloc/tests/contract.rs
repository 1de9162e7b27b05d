//! What glibc promises of every entry point, with every policy. Each case runs with glibc's own malloc as well.

mod support;

use support::{SETTINGS, build, here};

fn holds(case: &str) {
    if here() {
        build("contract.c").everywhere(SETTINGS, case);
    }
}

fn keeps(case: &str) {
    if here() {
        build("contents.c").everywhere(SETTINGS, case);
    }
}

#[test]
fn blocks_of_all_sizes() {
    holds("sizes");
}

#[test]
fn blocks_of_no_bytes() {
    holds("zero");
}

#[test]
fn sizes_that_no_block_has() {
    holds("huge");
}

#[test]
fn products_that_overflow() {
    holds("products");
}

#[test]
fn alignments() {
    holds("alignments");
}

#[test]
fn alignments_that_are_none() {
    holds("odd alignments");
}

#[test]
fn free_keeps_errno() {
    holds("free keeps errno");
}

#[test]
fn realloc_of_null_and_to_zero() {
    keeps("realloc null zero");
}

#[test]
fn realloc_keeps_the_contents() {
    keeps("realloc contents");
}

#[test]
fn realloc_by_steps() {
    keeps("realloc steps");
}

#[test]
fn calloc_clears_what_was_used() {
    keeps("calloc");
}

#[test]
fn the_kernel_fills_fresh_blocks() {
    keeps("kernel");
}

#[test]
fn what_glibc_does_not_have() {
    holds("extras");
}

#[test]
fn figures_and_trimming() {
    holds("figures");
}

#[test]
fn what_the_library_of_c_allocates() {
    holds("libc");
}
