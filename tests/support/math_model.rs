//! The arithmetic against wide integers and what it promises. Shared by the fuzz targets and what replays their corpus.

use arbitrary::Arbitrary;
use highwater::internal::math::step::{GrowthNeed, Step};
use highwater::internal::math::{bump, page, step};
use std::alloc::Layout;

/// Where the next block is.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Bump {
    position: usize,
    size: usize,
    align: u8,
    min_align: u8,
}

impl Bump {
    pub fn agrees(self) {
        let (align, min_align) = (1usize << (self.align % 63), 1usize << (self.min_align % 13));
        let position = page::align_down(self.position % (1 << 57), min_align);
        // Most sizes that are drawn are larger than anything; then their last bits are the size.
        let sizes = [self.size, self.size % (1 << 20), self.size % (1 << 47)];
        for size in sizes.into_iter().filter(|&size| Layout::from_size_align(size, align).is_ok()) {
            let block = bump::bump_up(position, size, align, min_align);
            let start = (position as u128).div_ceil(align as u128) * align as u128;
            let end = (start + size as u128).div_ceil(min_align as u128) * min_align as u128;
            assert_eq!((block.start as u128, block.end as u128), (start, end), "{self:?}");
        }
    }
}

/// Rounding.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Page {
    value: usize,
    align: u8,
}

impl Page {
    pub fn agrees(self) {
        let (value, align) = (self.value, 1usize << (self.align % 64));
        let wide = (value as u128).div_ceil(align as u128) * align as u128;
        let up = usize::try_from(wide).ok();
        assert_eq!(page::align_up(value, align), up, "{self:?}");
        assert_eq!(page::align_down(value, align), value / align * align, "{self:?}");
        let most = usize::MAX / align * align;
        assert_eq!(page::align_up_saturating(value, align), up.unwrap_or(most), "{self:?}");
    }
}

/// How far one growth goes.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Growth {
    page: u8,
    frontier: usize,
    gap: usize,
    len: usize,
    rest: usize,
    first: usize,
    most: usize,
    halvings: u8,
}

impl Growth {
    pub fn agrees(self) {
        let page = 4096 << (self.page % 5);
        // What an address space has room for; often little.
        let near = |value: usize| if value & 1 == 0 { value / 2 % (1 << 45) } else { value / 2 % (1 << 22) };
        let frontier = page::align_down(near(self.frontier), page);
        let from = frontier + near(self.gap);
        let to = from + 1 + near(self.len);
        let end = page::align_up_saturating(to + near(self.rest), page);
        let need = GrowthNeed { frontier, from, to, end, page };
        let first = self.first.max(1);
        let steps = [
            step::exact(need),
            step::fixed(need, self.first),
            step::geometric(need, first, first.max(self.most)),
            step::geometric(need, 64 << 10, 16 << 20),
        ];
        steps.into_iter().for_each(|step| self.serves(need, step));
        let [exact, fixed, _, usual] = steps;
        assert_eq!(exact.frontier, page::align_up_saturating(to, page).min(end), "{self:?}");
        assert!(usual.frontier - to <= to / 4 + (4 << 20), "{self:?}: {usual:?}");
        for whole in [fixed, usual] {
            let part = step::cut(whole, need, u32::from(self.halvings));
            assert!(part.frontier <= whole.frontier && part.frontier >= exact.frontier, "{self:?}: {part:?}");
            self.serves(need, part);
        }
        assert_eq!(step::cut(fixed, need, 64).frontier, exact.frontier, "{self:?}");
    }

    fn serves(self, need: GrowthNeed, step: Step) {
        let Step { frontier, populate_from } = step;
        let GrowthNeed { page, .. } = need;
        assert!(frontier >= need.to && frontier <= need.end, "{self:?}: {need:?} {step:?}");
        assert!(frontier > need.frontier && frontier.is_multiple_of(page), "{self:?}: {need:?} {step:?}");
        let is_inside = populate_from >= need.frontier && populate_from <= need.from;
        assert!(is_inside && populate_from.is_multiple_of(page), "{self:?}: {need:?} {step:?}");
    }
}
