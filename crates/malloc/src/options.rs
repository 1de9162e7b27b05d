//! What the environment asks for.
//!
//! | variable | value |
//! |---|---|
//! | `HIGHWATER_MALLOC` | `general`, `stack`, `bump`, `blocks`, and after a colon options, with commas between them |
//! | `HIGHWATER_RESERVE`, `HIGHWATER_LIMIT` | a size: bytes, or with `KiB`, `MiB`, `GiB`, `TiB` |
//! | `HIGHWATER_HEADROOM` | `1`: growth is refused before the system or a cgroup has no memory left |
//! | `HIGHWATER_HUGE_PAGES` | `1`: the whole heap is advised to have huge pages |
//! | `HIGHWATER_HARDENED` | `1`: misuse is found, named, and ends the process |
//! | `HIGHWATER_GUARDS` | N: one block in N has a page of its own between guards; 0: none |
//! | `HIGHWATER_STATS` | `1`: figures on standard error at the end; or an absolute directory for records |

use crate::environment;
use core::fmt;
use core::str;
use highwater::heap::{Blocks, Bump, Fit, General, HeapPolicy, Stack};
use highwater::internal::sys::write_line;

/// The length of a directory's name, at most.
const MAX_PATH: usize = 1024;

/// The guard interval of a hardened process where the environment does not say.
const DEFAULT_GUARD_INTERVAL: u32 = 1000;

pub(crate) struct MallocOptions {
    pub(crate) policy: HeapPolicy,
    pub(crate) reserve: Option<usize>,
    pub(crate) limit: Option<usize>,
    pub(crate) headroom: bool,
    pub(crate) huge_pages: bool,
    pub(crate) hardened: bool,
    /// The N of "one block in N has a page of its own"; 0 for none.
    pub(crate) guard_interval: u32,
    pub(crate) stats: StatsOutput,
}

/// Where figures are written to.
#[expect(clippy::large_enum_variant, reason = "there is one")]
pub(crate) enum StatsOutput {
    None,
    /// Standard error, at the end.
    Text,
    /// A directory: its name, with a zero behind it.
    Records([u8; MAX_PATH]),
}

/// A variable with an invalid value.
struct InvalidVariable<'a> {
    name: &'a [u8],
    value: &'a [u8],
    expected: &'static str,
}

impl fmt::Display for InvalidVariable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InvalidVariable { name, value, expected } = self;
        write!(f, "{}={}: expected {expected}", name.escape_ascii(), value.escape_ascii())
    }
}

impl MallocOptions {
    /// What the environment asks for. An invalid value ends the process with status 2: a program is not to run without the
    /// limit that was asked for.
    pub(crate) fn from_environment() -> Self {
        let (mut guards, mut hardened) = (None, false);
        let mut options = MallocOptions {
            policy: HeapPolicy::default(),
            reserve: None,
            limit: None,
            headroom: false,
            huge_pages: false,
            hardened: false,
            guard_interval: 0,
            stats: StatsOutput::None,
        };
        environment::each_variable(|name, value| {
            let set = match name {
                b"HIGHWATER_MALLOC" => policy(value).map(|policy| options.policy = policy),
                b"HIGHWATER_RESERVE" => reserve(value).map(|bytes| options.reserve = Some(bytes)),
                b"HIGHWATER_LIMIT" => reserve(value).map(|bytes| options.limit = Some(bytes)),
                b"HIGHWATER_HEADROOM" => switch(value).map(|on| options.headroom = on),
                b"HIGHWATER_HUGE_PAGES" => switch(value).map(|on| options.huge_pages = on),
                b"HIGHWATER_HARDENED" => switch(value).map(|on| hardened = on),
                b"HIGHWATER_GUARDS" => count(value).map(|interval| guards = Some(interval)),
                b"HIGHWATER_STATS" => stats(value).map(|output| options.stats = output),
                _ => Ok(()),
            };
            if let Err(expected) = set {
                write_line(format_args!("{}", InvalidVariable { name, value, expected }));
                // SAFETY: ends the process at once; no code of the program has run yet.
                unsafe { libc::_exit(2) }
            }
        });
        options.hardened = hardened;
        options.guard_interval = guards.unwrap_or(if hardened { DEFAULT_GUARD_INTERVAL } else { 0 });
        if let (true, HeapPolicy::General(general)) = (hardened, options.policy) {
            options.policy = general.checked(true).into();
        }
        options
    }
}

type Parsed<T> = Result<T, &'static str>;

fn switch(value: &[u8]) -> Parsed<bool> {
    match value {
        b"1" | b"yes" | b"true" => Ok(true),
        b"" | b"0" | b"no" | b"false" => Ok(false),
        _ => Err("1 or 0"),
    }
}

fn count(value: &[u8]) -> Parsed<u32> {
    let parsed = str::from_utf8(value).ok().and_then(|value| value.parse().ok());
    parsed.ok_or("a number of blocks, or 0")
}

/// A size in bytes; `None` if it is none.
fn size(value: &[u8]) -> Option<usize> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number: usize = str::from_utf8(&value[..digits]).ok()?.parse().ok()?;
    let mut unit = [0; 3];
    let name = &value[digits..];
    unit.get_mut(..name.len())?.copy_from_slice(name);
    unit.make_ascii_lowercase();
    let shift = match &unit[..name.len()] {
        b"" | b"b" => 0,
        b"k" | b"kb" | b"kib" => 10,
        b"m" | b"mb" | b"mib" => 20,
        b"g" | b"gb" | b"gib" => 30,
        b"t" | b"tb" | b"tib" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn reserve(value: &[u8]) -> Parsed<usize> {
    size(value).filter(|bytes| *bytes > 0).ok_or("a size of more than 0 bytes, such as 4GiB")
}

fn stats(value: &[u8]) -> Parsed<StatsOutput> {
    match value {
        b"" | b"0" => Ok(StatsOutput::None),
        b"1" => Ok(StatsOutput::Text),
        [b'/', ..] if value.len() < MAX_PATH => {
            let mut path = [0; MAX_PATH];
            path[..value.len()].copy_from_slice(value);
            Ok(StatsOutput::Records(path))
        }
        _ => Err("1, 0 or the absolute path of a directory"),
    }
}

fn policy(value: &[u8]) -> Parsed<HeapPolicy> {
    let at = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
    let (name, options) = (&value[..at], value.get(at + 1..).unwrap_or_default());
    let options = options.split(|byte| *byte == b',').filter(|option| !option.is_empty()).map(|option| {
        let at = option.iter().position(|byte| *byte == b'=').unwrap_or(option.len());
        (&option[..at], option.get(at + 1..))
    });
    match name {
        b"general" | b"" => general(options),
        b"stack" => stack(options),
        b"bump" => bump(options),
        b"blocks" => blocks(options),
        _ => Err("general, stack, bump or blocks"),
    }
}

/// An option's name, and its value if it has one.
type PolicyOption<'a> = (&'a [u8], Option<&'a [u8]>);

fn general<'a>(options: impl Iterator<Item = PolicyOption<'a>>) -> Parsed<HeapPolicy> {
    let mut general = General::new();
    for option in options {
        general = match option {
            (b"checked", None) => general.checked(true),
            _ => return Err("general or general:checked"),
        };
    }
    Ok(general.into())
}

fn stack<'a>(options: impl Iterator<Item = PolicyOption<'a>>) -> Parsed<HeapPolicy> {
    const EXPECTED: &str =
        "stack with align=BYTES (a power of two from 16 to 4096), errno or single-threaded";
    let mut stack = Stack::new();
    for option in options {
        stack = match option {
            (b"align", Some(value)) => stack.align(
                size(value).filter(|n| (16..=4096).contains(n) && n.is_power_of_two()).ok_or(EXPECTED)?,
            ),
            // (A refusal sets it in any case.)
            (b"errno", None) => stack.errno(true),
            // SAFETY: the option says that the program has one thread.
            (b"single-threaded", None) => unsafe { stack.single_threaded() },
            _ => return Err(EXPECTED),
        };
    }
    Ok(stack.into())
}

fn bump<'a>(options: impl Iterator<Item = PolicyOption<'a>>) -> Parsed<HeapPolicy> {
    const EXPECTED: &str = "bump with slice=BYTES (a power of two from 64KiB to 1GiB), grain=8 or 16, diagnose or single-threaded";
    let mut bump = Bump::new();
    for option in options {
        bump = match option {
            (b"slice", Some(value)) => bump.slice(
                size(value)
                    .filter(|n| n.is_power_of_two() && (64 << 10..=1 << 30).contains(n))
                    .ok_or(EXPECTED)?,
            ),
            (b"grain", Some(b"8")) => bump.grain(8),
            (b"grain", Some(b"16")) => bump.grain(16),
            (b"diagnose", None) => bump.diagnose(true),
            // SAFETY: the option says that the program has one thread.
            (b"single-threaded", None) => unsafe { bump.single_threaded() },
            _ => return Err(EXPECTED),
        };
    }
    Ok(bump.into())
}

fn blocks<'a>(options: impl Iterator<Item = PolicyOption<'a>>) -> Parsed<HeapPolicy> {
    const EXPECTED: &str = "blocks with fit=best or first, margin=BYTES or single-threaded";
    let mut blocks = Blocks::new();
    for option in options {
        blocks = match option {
            (b"fit", Some(b"best")) => blocks.fit(Fit::Best),
            (b"fit", Some(b"first")) => blocks.fit(Fit::First),
            (b"margin", Some(value)) => blocks.margin(size(value).ok_or(EXPECTED)?),
            // SAFETY: the option says that the program has one thread.
            (b"single-threaded", None) => unsafe { blocks.single_threaded() },
            _ => return Err(EXPECTED),
        };
    }
    Ok(blocks.into())
}
