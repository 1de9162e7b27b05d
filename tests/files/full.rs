//! A full disk is a refusal with a cause, not SIGBUS.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Backing, Cause, Engine, Growth, engine};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

const MIB: usize = 1 << 20;
const DIR: &str = "HIGHWATER_TEST_SMALL_DISK";
const SIZE: usize = 8 * MIB;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("try", try_on_a_full_disk), ("plain", plain_on_a_full_disk)];

/// Runs a case with a small file system of its own at a temporary directory; `None` where none can be had.
fn child(case: &str) -> Option<support::Ended> {
    if !support::reserves() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let target = CString::new(dir.path().as_os_str().as_bytes()).unwrap();
    // SAFETY: system calls only.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let maps = [
        (c"/proc/self/setgroups", "deny".to_owned()),
        (c"/proc/self/uid_map", format!("0 {user} 1")),
        (c"/proc/self/gid_map", format!("0 {group} 1")),
    ];
    let mount = move || {
        // SAFETY: between fork and exec, so system calls only. The mount is in a namespace of the child's.
        unsafe {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUSER);
                for (path, text) in &maps {
                    let fd = libc::open(path.as_ptr(), libc::O_WRONLY);
                    libc::write(fd, text.as_ptr().cast(), text.len());
                    libc::close(fd);
                }
            }
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let (null, none) = (std::ptr::null(), c"none".as_ptr());
            if libc::mount(none, c"/".as_ptr(), null, private, std::ptr::null()) == 0 {
                libc::mount(none, target.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=8m".as_ptr().cast());
            }
        }
        Ok(())
    };
    let ended = support::child_with(case, |command| {
        command.env(DIR, dir.path());
        // SAFETY: the closure makes system calls only, on data that was made before.
        unsafe { command.pre_exec(mount) };
    });
    if ended.stdout.contains("no small disk") {
        support::skip("this system does not let a test mount a tmpfs");
        return None;
    }
    Some(ended)
}

/// An arena on the small file system; ends the child where there is none.
fn arena() -> Arena {
    let dir = PathBuf::from(std::env::var_os(DIR).expect("set by the parent"));
    let path = CString::new(dir.as_os_str().as_bytes()).unwrap();
    let mut facts = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: there is room for the answer, and zero is valid for it.
    let size = unsafe {
        libc::statvfs(path.as_ptr(), facts.as_mut_ptr());
        let facts = facts.assume_init();
        facts.f_blocks as usize * facts.f_frsize as usize
    };
    if size != SIZE {
        println!("no small disk");
        std::process::exit(0);
    }
    let growth = Growth::Fixed(MIB);
    Arena::builder().name("filed").reserve(1 << 30).growth(growth).backing(Backing::Temp(dir)).build()
}

#[test]
fn a_fallible_call_returns_the_cause() {
    if let Some(ended) = child("try") {
        ended.assert_success();
    }
}

fn try_on_a_full_disk() {
    let arena = arena();
    let kept = arena.alloc_slice_fill_copy(4 * MIB, 7u8);
    for _ in 0..3 {
        let error = arena.try_alloc_slice_fill_copy(16 * MIB, 1u8).unwrap_err();
        assert_eq!(error.cause(), Cause::DiskFull);
        let text = error.to_string();
        assert!(text.contains("\"filed\"") && text.contains("disk full"), "{text}");
    }
    assert!(kept.iter().all(|&byte| byte == 7));
    assert_eq!(arena.alloc_slice_fill_copy(MIB, 8u8).len(), MIB, "what fits is served");
}

#[test]
fn a_plain_call_says_disk_full() {
    let Some(ended) = child("plain") else { return };
    if engine() == Engine::Explicit {
        assert_eq!(ended.status.code(), Some(101), "{ended:#?}");
    } else {
        ended.assert_signal(libc::SIGABRT);
        assert_eq!(
            ended.stderr.lines().filter(|line| line.starts_with("highwater: ")).count(),
            1,
            "{ended:#?}"
        );
        assert!(ended.stderr.contains("growing by 4 KiB"), "{ended:#?}");
    }
    assert!(ended.stderr.contains("arena \"filed\" out of memory"), "{ended:#?}");
    assert!(ended.stderr.contains("disk full"), "{ended:#?}");
}

fn plain_on_a_full_disk() {
    arena().alloc_slice_fill_copy(32 * MIB, 1u8);
}
