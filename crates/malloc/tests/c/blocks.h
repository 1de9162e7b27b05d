/* Blocks that are written to and looked at. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "check.h"

static inline void fill(void *block, size_t bytes, unsigned char tag)
{
    memset(block, tag, bytes);
}

static inline bool holds(const void *block, size_t bytes, unsigned char tag)
{
    const unsigned char *at = (const unsigned char *)block;
    return bytes == 0 || (at[0] == tag && memcmp(at, at + 1, bytes - 1) == 0);
}

static inline size_t step(size_t bytes)
{
    return bytes + bytes / 7 + 1;
}

/* A block of what was asked for: aligned, as large as it says, and all of it can be written. */
static inline void good(void *block, size_t bytes, size_t align)
{
    CHECK(block != NULL);
    CHECK(is_aligned(block, align > 16 ? align : 16));
    size_t usable = malloc_usable_size(block);
    CHECK(usable >= bytes);
    fill(block, usable, 0xa5);
    CHECK(holds(block, usable, 0xa5));
    CHECK(malloc_usable_size(block) == usable);
}

#endif
