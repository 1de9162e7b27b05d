//! A brand is neither shortened nor made longer.

use highwater::{Branded, Handle, SliceHandle, StrHandle};

fn shorter<'s, 'l: 's>(handle: Handle<'l, u64>) -> Handle<'s, u64> {
    handle
}

fn longer<'s, 'l: 's>(handle: Handle<'s, u64>) -> Handle<'l, u64> {
    handle
}

fn shorter_slice<'s, 'l: 's>(handle: SliceHandle<'l, u64>) -> SliceHandle<'s, u64> {
    handle
}

fn longer_text<'s, 'l: 's>(handle: StrHandle<'s>) -> StrHandle<'l> {
    handle
}

fn shorter_scope<'s, 'l: 's>(scope: Branded<'l>) -> Branded<'s> {
    scope
}

fn shorter_borrowed<'r, 's, 'l: 's>(scope: &'r Branded<'l>) -> &'r Branded<'s> {
    scope
}

fn main() {}
