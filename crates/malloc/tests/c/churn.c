/* Blocks that carry a tag from their birth to their death: one that overlaps another, moves without its contents or is
 * handed out twice loses it. */
#include "check.h"

#include <pthread.h>
#include <sched.h>

struct block {
    unsigned char *at;
    size_t bytes;
    uint64_t tag;
};

/* The places in a block that are written: all of a small one, of a larger one its ends and a sample. */
static size_t after(size_t place, size_t bytes)
{
    return bytes <= 256 || place < 64 || place + 64 >= bytes ? place + 1 : place + 499 < bytes - 64 ? place + 499 : bytes - 64;
}

static unsigned char mark(const struct block *block, size_t place)
{
    return (unsigned char)((block->tag + place) * 0x9e3779b97f4a7c15ULL >> 56);
}

static void write_tag(const struct block *block)
{
    for (size_t place = 0; place < block->bytes; place = after(place, block->bytes)) {
        block->at[place] = mark(block, place);
    }
}

static void check_tag(const struct block *block, size_t bytes)
{
    for (size_t place = 0; place < bytes; place = after(place, block->bytes)) {
        CHECK(block->at[place] == mark(block, place));
    }
}

static void make(struct block *block, size_t bytes, uint64_t tag)
{
    *block = (struct block){ (unsigned char *)malloc(size(bytes)), bytes, tag };
    CHECK(block->at != NULL && is_aligned(block->at, 16));
    write_tag(block);
}

static void end(struct block *block)
{
    check_tag(block, block->bytes);
    free(block->at);
    block->at = NULL;
}

static void resize(struct block *block, size_t bytes)
{
    size_t common = block->bytes < bytes ? block->bytes : bytes;
    block->at = (unsigned char *)realloc(block->at, size(bytes));
    CHECK(block->at != NULL && is_aligned(block->at, 16));
    if (common < block->bytes) {
        /* The places to look at are those of the old length. */
        check_tag(block, common);
    } else {
        check_tag(block, block->bytes);
    }
    block->bytes = bytes;
    ++block->tag;
    write_tag(block);
}

enum order { FIFO, LIFO, RANDOM };

/* Rounds of so many blocks of one size that are made, and freed in some order. */
static void rounds(struct block *blocks, size_t count, size_t bytes, enum order order, int times, uint64_t seed)
{
    for (int time = 0; time < times; ++time) {
        for (size_t i = 0; i < count; ++i) {
            make(&blocks[i], bytes, seed + i);
        }
        for (size_t left = count; left > 0; --left) {
            if (order == RANDOM) {
                size_t chosen = next_random(&seed) % left;
                struct block last = blocks[left - 1];
                end(&blocks[chosen]);
                blocks[chosen] = last;
            } else {
                end(&blocks[order == LIFO ? left - 1 : count - left]);
            }
        }
    }
}

static void one_class(uint64_t seed)
{
    static const struct { size_t count, bytes; int times; } loads[] = {
        { 1, 16, 2000 }, { 1, 32, 2000 }, { 2, 16, 1000 }, { 100, 16, 100 }, { 1, 70000, 300 }, { 1, 5 * MIB, 20 },
        { 4096, 16, 8 }, { 4097, 16, 3 }, { 20000, 64, 2 }, { 5000, 256, 2 }, { 5000, 1024, 2 }, { 700, 8192, 3 },
        { 100, 30000, 3 }, { 40, 65536, 3 }, { 40, 300000, 3 },
    };
    struct block *blocks = (struct block *)calloc(20000, sizeof *blocks);
    for (size_t i = 0; i < COUNT(loads); ++i) {
        for (int order = FIFO; order <= RANDOM; ++order) {
            rounds(blocks, loads[i].count, loads[i].bytes, (enum order)order, loads[i].times, seed + i);
        }
    }
    free(blocks);
}

/* Sizes that are small mostly, and now and then large. */
static size_t some_size(uint64_t *state)
{
    uint64_t random = next_random(state);
    static const size_t most[] = { 32, 64, 100, 300, 1000, 1000, 9000, 70000 };
    size_t limit = random % 1000 == 0 ? 2 * MIB : most[random / 1000 % COUNT(most)];
    return random / 8192 % (limit + 1);
}

static void mixed(size_t live, int steps, uint64_t seed)
{
    struct block *blocks = (struct block *)calloc(live, sizeof *blocks);
    for (int step = 0; step < steps; ++step) {
        struct block *block = &blocks[next_random(&seed) % live];
        size_t bytes = some_size(&seed);
        if (block->at == NULL) {
            make(block, bytes, seed);
        } else if (step % 3 == 0 && bytes > 0) {
            resize(block, bytes);
        } else {
            end(block);
        }
    }
    for (size_t i = 0; i < live; ++i) {
        if (blocks[i].at != NULL) {
            end(&blocks[i]);
        }
    }
    free(blocks);
}

static void single(void)
{
    one_class(11);
}

static void mixture(void)
{
    mixed(10, 20000, 1);
    mixed(1000, 40000, 2);
}

/* Several blocks that grow and shrink in turn, so that each is in the others' way. */
static void reallocation(void)
{
    struct block blocks[12];
    uint64_t state = 9;
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        make(&blocks[i], 1 + i, i * 1000);
    }
    for (int step = 0; step < 3000; ++step) {
        struct block *block = &blocks[next_random(&state) % COUNT(blocks)];
        size_t bytes = step % 4 == 0 ? block->bytes / 2 + 1 : block->bytes + block->bytes / 3 + next_random(&state) % 40 + 1;
        resize(block, bytes > 3 * MIB ? 1 + (size_t)step % 100 : bytes);
    }
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        end(&blocks[i]);
    }
}

/* Runs so many threads of a body to their end. */
static void together(size_t count, void *(*body)(void *))
{
    pthread_t threads[16];
    for (size_t i = 0; i < count; ++i) {
        CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    }
    for (size_t i = 0; i < count; ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void *alone(void *number)
{
    uint64_t seed = 77 + (uintptr_t)number;
    mixed(300, 15000, seed);
    struct block blocks[1000];
    rounds(blocks, 1000, 48, (enum order)((uintptr_t)number % 3), 5, seed);
    return NULL;
}

static void threads(void)
{
    together(4, alone);
}

/* A ring from one thread to another. */
struct ring {
    struct block blocks[512];
    _Atomic size_t written, read;
};

static struct ring rings[2];
#define PASSED 30000

static void *end_of_a_ring(void *number)
{
    size_t at = (uintptr_t)number;
    struct ring *ring = &rings[at / 2];
    uint64_t seed = 5 + at;
    for (size_t i = 0; i < PASSED; ++i) {
        if (at % 2 == 0) {
            while (i - atomic_load(&ring->read) == COUNT(ring->blocks)) {
                sched_yield();
            }
            make(&ring->blocks[i % COUNT(ring->blocks)], at == 0 ? 64 : some_size(&seed), i);
            atomic_store(&ring->written, i + 1);
        } else {
            while (atomic_load(&ring->written) == i) {
                sched_yield();
            }
            end(&ring->blocks[i % COUNT(ring->blocks)]);
            atomic_store(&ring->read, i + 1);
        }
    }
    return NULL;
}

static void passed_on(void)
{
    together(4, end_of_a_ring);
}

/* Places from which every thread takes what another one left. */
static struct block *_Atomic places[256];

static void *swapper(void *number)
{
    uint64_t state = 21 + (uintptr_t)number;
    for (int i = 0; i < 30000; ++i) {
        struct block *block = (struct block *)malloc(sizeof *block);
        CHECK(block != NULL);
        make(block, some_size(&state), state);
        block = atomic_exchange(&places[next_random(&state) % COUNT(places)], block);
        if (block != NULL && i % 5 == 0 && block->bytes > 0) {
            resize(block, 1 + some_size(&state));
        }
        if (block != NULL) {
            end(block);
            free(block);
        }
    }
    return NULL;
}

static void swapped(void)
{
    for (int generation = 0; generation < 2; ++generation) {
        together(4, swapper);
    }
    for (size_t i = 0; i < COUNT(places); ++i) {
        if (places[i] != NULL) {
            end(places[i]);
            free(places[i]);
        }
    }
}

/* Threads that end while their blocks live, and others that free them. */
static struct block inherited[8][500];

static void *leaves(void *number)
{
    for (size_t i = 0; i < COUNT(inherited[0]); ++i) {
        uint64_t seed = i * 31 + (uintptr_t)number;
        make(&inherited[(uintptr_t)number][i], some_size(&seed), i);
    }
    return NULL;
}

static void *inherits(void *number)
{
    for (size_t i = (uintptr_t)number; i < COUNT(inherited[0]); i += 4) {
        for (size_t j = 0; j < COUNT(inherited); ++j) {
            end(&inherited[j][i]);
        }
    }
    return NULL;
}

static void after_their_thread(void)
{
    for (int generation = 0; generation < 5; ++generation) {
        together(8, leaves);
        together(4, inherits);
    }
}

/* Free memory is given back, and figures are asked for, in the middle of all that. */
static _Atomic bool ended;

static void *trims(void *unused)
{
    while (!ended) {
        CHECK(malloc_trim(0) <= 1);
        struct mallinfo2 info = mallinfo2();
        CHECK(info.uordblks <= info.arena + info.hblkhd);
        sched_yield();
    }
    return unused;
}

static void trimmed(void)
{
    ended = false;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, trims, NULL) == 0);
    together(2, swapper);
    together(2, alone);
    together(8, leaves);
    together(4, inherits);
    ended = true;
    CHECK(pthread_join(thread, NULL) == 0);
}

/* What is asked for in the deep run. */
static void *long_run(void *number)
{
    uint64_t seed = 1000 + (uintptr_t)number;
    for (int i = 0; i < 5; ++i) {
        one_class(seed + i);
        mixed(2000, 400000, seed + i);
    }
    return NULL;
}

static void soak(void)
{
    together(4, long_run);
    for (int i = 0; i < 10; ++i) {
        after_their_thread();
        swapped();
        memset((void *)places, 0, sizeof places);
    }
}

static const struct test_case CASES[] = {
    { "single", single },
    { "mixture", mixture },
    { "reallocation", reallocation },
    { "threads", threads },
    { "passed on", passed_on },
    { "swapped", swapped },
    { "after their thread", after_their_thread },
    { "trimmed", trimmed },
    { "soak", soak },
};

MAIN(CASES)
