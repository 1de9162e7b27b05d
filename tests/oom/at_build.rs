//! Causes that are met when a region is built, or in a child that has not inherited it.
#![cfg(target_os = "linux")]

use super::causes::{MIB, builder, contents_verify, with_contents};
use crate::support;
use highwater::{Arena, Backing, Cause, OutOfMemory, Region};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::oom::{cannot, child, json, text_of};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("address space at build", address_space_at_build),
    ("regions of all kinds", every_address_is_taken),
    ("locked", locked),
    ("not inherited", not_inherited),
];

#[test]
fn the_limit_on_address_space_is_met_when_a_region_is_built() {
    if support::reserves()
        && let Some(ended) = child("address space at build")
    {
        ended.assert_success();
    }
}

fn address_space_at_build() {
    let kept = with_contents(builder().build());
    let limit = support::limits::limit_address_space(32 * MIB);
    let error = Arena::try_new().unwrap_err();
    assert_eq!((error.cause(), error.limit()), (Cause::RlimitAs, Some(limit as u64)));
    let usage = json(&error)["usage"].as_u64().unwrap() as usize;
    assert!((limit - 32 * MIB..=limit).contains(&usage), "{usage} of {limit}");
    let text = error.to_string();
    assert!(text.starts_with("new arena out of memory: requested ") && text.contains("RLIMIT_AS"), "{text}");
    let text = text_of(&*catch_unwind(Arena::new).unwrap_err());
    assert!(text.contains("RLIMIT_AS") && text.contains(&limit.to_string()), "{text}");
    // What is reserved already grows on, and less is served.
    assert_eq!(kept.alloc_slice_fill_copy(8 * MIB, 1u8).len(), 8 * MIB);
    assert_eq!(builder().reserve(4 * MIB).build().alloc_slice_fill_copy(MIB, 1u8).len(), MIB);
    contents_verify(&kept);
}

#[test]
fn address_space_runs_out_by_name() {
    if support::reserves()
        && let Some(ended) = child("regions of all kinds")
    {
        ended.assert_success();
    }
}

fn every_address_is_taken() {
    let one: usize = 1 << 40;
    let mut regions = Vec::new();
    let error = loop {
        match Region::builder().reserve(one).try_build() {
            Ok(region) => regions.push(region),
            Err(error) => break OutOfMemory::from(error),
        }
    };
    if error.cause() != Cause::AddressSpace {
        cannot("this kernel has less address space than regions may take");
    }
    assert_eq!(error.requested(), one);
    let left = error.limit().unwrap() as usize;
    assert!(left < one + MIB, "{left} bytes are left");
    assert!(error.to_string().contains("left of what all regions together may reserve"), "{error}");
    assert_eq!(json(&error)["cause"], "address-space");
    Region::builder().reserve(left / 2).build().ensure(MIB).unwrap();
    regions.pop();
    Region::builder().reserve(one).build().ensure(MIB).unwrap();
}

#[test]
fn locked_memory_is_limited_when_a_region_is_built() {
    if support::reserves()
        && let Some(ended) = child("locked")
    {
        ended.assert_success();
    }
}

fn locked() {
    let limit = 2 * MIB;
    // SAFETY: system calls on a structure of ours. Somebody without rights is limited.
    unsafe {
        if libc::geteuid() == 0 && libc::setresuid(65_534, 65_534, 65_534) != 0 {
            cannot("root's rights cannot be given up");
        }
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        let bytes = libc::rlimit { rlim_cur: limit as _, rlim_max: limit as _ };
        if libc::setrlimit(libc::RLIMIT_MEMLOCK, &bytes) != 0 || libc::mlockall(libc::MCL_FUTURE) != 0 {
            cannot("memory cannot be locked");
        }
    }
    let error = Arena::try_new().unwrap_err();
    assert_eq!((error.cause(), error.limit()), (Cause::LockedLimit, Some(limit as u64)), "{error}");
    assert!(error.to_string().contains("RLIMIT_MEMLOCK 2 MiB reached"), "{error}");
    assert!(json(&error)["usage"].as_u64().unwrap() <= limit as u64);
    let arena = Arena::builder().reserve(MIB).build();
    assert_eq!(arena.alloc_slice_fill_copy(MIB / 2, 1u8).len(), MIB / 2);
}

#[test]
fn a_region_in_a_file_is_not_inherited() {
    if support::reserves()
        && let Some(ended) = child("not inherited")
    {
        ended.assert_success();
    }
}

fn not_inherited() {
    let Some(dir) = support::files::directory() else { cannot("no directory for a backing file") };
    let arena = with_contents(builder().backing(Backing::Temp(dir.path().to_owned())).build());
    let status = support::raw::forked(|| {
        let error = arena.try_alloc_uninit_slice::<u8>(4 * MIB).unwrap_err();
        assert_eq!((error.cause(), error.limit()), (Cause::NotInherited, None));
        assert!(error.to_string().contains("is not inherited by a forked process"), "{error}");
        let plain = catch_unwind(AssertUnwindSafe(|| arena.alloc_uninit_slice::<u8>(4 * MIB).len()));
        assert!(text_of(&*plain.unwrap_err()).contains("out of memory"));
        let own = with_contents(builder().build());
        contents_verify(&own);
    });
    assert_eq!(status, 0);
    contents_verify(&arena);
    arena.alloc_slice_fill_copy(4 * MIB, 1u8);
}
