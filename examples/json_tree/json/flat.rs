//! Objects as slices: members sorted by key, and a hash index beside the large ones.

use highwater::GrowVec;

/// Sorts the members from `from` on by their keys; of several with one key the last stays.
///
/// The order is stable, so the last of equal keys is the last in the file.
pub fn sort_last_wins<M>(members: &mut GrowVec<M>, from: usize, key: impl Fn(&M) -> &str) {
    members[from..].sort_by(|a, b| key(a).cmp(key(b)));
    let mut kept = from;
    for i in from + 1..members.len() {
        if key(&members[i]) != key(&members[kept]) {
            kept += 1;
        }
        members.swap(kept, i);
    }
    members.truncate(if members.len() > from { kept + 1 } else { from });
}

/// A probe goes no further than this; a key that would be found later is left to the binary search. So a file whose
/// keys were chosen to collide costs no more than one without an index.
const PROBES: usize = 16;

/// How many slots the index of so many members has: a power of two, at most half of them used.
pub fn slots_for(members: usize) -> usize {
    (2 * members).next_power_of_two()
}

/// FNV-1a, with its best bits moved to where the index looks.
pub fn hash(key: &str) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    (hash ^ (hash >> 32)) as usize
}

/// The slots where a key may be. There is at least one slot.
fn probe(slots: usize, key: &str) -> impl Iterator<Item = usize> {
    let first = hash(key);
    (0..PROBES.min(slots)).map(move |step| (first + step) & (slots - 1))
}

/// Fills an index of zeroes: a slot holds the place of a member, plus one.
pub fn fill_index<'k>(slots: &mut [u32], keys: impl Iterator<Item = &'k str>) {
    for (key, place) in keys.zip(1u32..) {
        if let Some(free) = probe(slots.len(), key).find(|&slot| slots[slot] == 0) {
            slots[free] = place;
        }
    }
}

/// The place of a key among the members of a small object.
pub fn search<M>(members: &[M], key: &str, key_of: impl Fn(&M) -> &str) -> Option<usize> {
    members.binary_search_by(|member| key_of(member).cmp(key)).ok()
}

/// The place of a key among the members of a large object.
pub fn look_up<M>(members: &[M], slots: &[u32], key: &str, key_of: impl Fn(&M) -> &str) -> Option<usize> {
    for slot in probe(slots.len(), key) {
        match slots[slot] {
            // Keys are never taken out: every key in the index comes before the first free slot.
            0 => return None,
            place if key_of(&members[place as usize - 1]) == key => return Some(place as usize - 1),
            _ => {}
        }
    }
    search(members, key, key_of)
}
