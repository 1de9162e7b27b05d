/* What is in blocks: after realloc, after calloc, and after the kernel wrote to them. */
#include "blocks.h"

#include <fcntl.h>
#include <sys/socket.h>

static void realloc_of_null_and_to_zero(void)
{
    for (size_t bytes = 1; bytes < 8 * MIB; bytes = step(bytes * 3)) {
        void *block = realloc(NULL, size(bytes));
        good(block, bytes, 16);
        CHECK(realloc(block, size(0)) == NULL);
    }
    /* It was freed: a million times is more memory than there is, unless it comes back. */
    size_t before = statm(0);
    for (int i = 0; i < 20000; ++i) {
        void *block = malloc(100000);
        CHECK(block != NULL);
        *(char *)block = 1;
        CHECK(realloc(block, size(0)) == NULL);
    }
    CHECK(statm(0) < before + 512 * MIB);
}

/* Contents through every pair of sizes that lie a factor apart, both ways. */
static void realloc_keeps_contents(void)
{
    for (size_t from = 1; from <= 64 * MIB; from = step(from * 2)) {
        for (size_t to = 1; to <= 64 * MIB; to = step(to * 5)) {
            char *block = (char *)malloc(size(from));
            CHECK(block != NULL);
            size_t common = from < to ? from : to, looked = common < 65536 ? common : 65536;
            fill(block, looked, 0x33);
            block[common - 1] = 0x44;
            block[common / 2] = 0x55;
            block = (char *)realloc(block, size(to));
            CHECK(block != NULL && is_aligned(block, 16) && malloc_usable_size(block) >= to);
            CHECK(block[common / 2] == 0x55);
            CHECK(common == 1 || common / 2 == common - 1 || block[common - 1] == 0x44);
            CHECK(holds(block, looked / 2 < 1 ? 0 : looked / 2 - 1, 0x33));
            block[to - 1] = 1;
            free(block);
        }
    }
}

/* One block that grows by a little each time, with others between that make it move. */
static void realloc_grows_by_steps(void)
{
    void *between[400] = {0};
    char *block = NULL;
    size_t bytes = 0, made = 0;
    while (bytes < 64 * MIB) {
        size_t more = bytes + bytes / 5 + 13;
        char *grown = (char *)realloc(block, size(more));
        CHECK(grown != NULL);
        CHECK(bytes == 0 || (grown[0] == 0x66 && grown[bytes - 1] == 0x66 && grown[bytes / 2] == 0x66));
        memset(grown + bytes, 0x66, more - bytes);
        if (made < COUNT(between)) {
            between[made++] = malloc(size(more % 3000));
        }
        block = grown;
        bytes = more;
    }
    CHECK(holds(block, bytes, 0x66));
    while (bytes > 1) {
        bytes = bytes * 2 / 3;
        block = (char *)realloc(block, size(bytes));
        CHECK(block != NULL && block[0] == 0x66 && block[bytes - 1] == 0x66 && block[bytes / 2] == 0x66);
    }
    free(block);
    while (made > 0) {
        free(between[--made]);
    }
}

static void calloc_is_zero(void)
{
    for (int round = 0; round < 2; ++round) {
        for (size_t bytes = 1; bytes <= 24 * MIB; bytes = step(bytes * 2)) {
            void *blocks[4];
            for (size_t i = 0; i < 4; ++i) {
                blocks[i] = malloc(size(bytes));
                CHECK(blocks[i] != NULL);
                memset(blocks[i], 0xff, bytes);
            }
            for (size_t i = 0; i < 4; ++i) {
                free(blocks[i]);
            }
            for (size_t i = 0; i < 4; ++i) {
                blocks[i] = i % 2 ? calloc(size(bytes), 1) : calloc(1, size(bytes));
                CHECK(blocks[i] != NULL && holds(blocks[i], bytes, 0));
                memset(blocks[i], 0xee, bytes);
            }
            for (size_t i = 0; i < 4; ++i) {
                free(blocks[i]);
            }
        }
    }
}

/* The kernel raises no signal for memory that is not there: it answers EFAULT, or fills less. */
static void kernel_fills_fresh_blocks(void)
{
    int zeroes = open("/dev/zero", O_RDONLY);
    CHECK(zeroes >= 0);
    for (size_t bytes = 1; bytes <= 64 * MIB; bytes = step(bytes * 2)) {
        void *blocks[5] = {
            malloc(size(bytes)), calloc(1, size(bytes)), realloc(malloc(1), size(bytes)), memalign(4096, size(bytes)), valloc(size(bytes)),
        };
        for (size_t i = 0; i < COUNT(blocks); ++i) {
            CHECK(blocks[i] != NULL);
            CHECK(read(zeroes, blocks[i], bytes) == (ssize_t)bytes);
            CHECK(holds(blocks[i], bytes, 0));
        }
        void *grown = realloc(blocks[0], size(2 * bytes));
        CHECK(grown != NULL);
        size_t usable = malloc_usable_size(grown);
        CHECK(read(zeroes, grown, usable) == (ssize_t)usable);
        free(grown);
        for (size_t i = 1; i < COUNT(blocks); ++i) {
            free(blocks[i]);
        }
    }
    close(zeroes);
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    for (int i = 0; i < 200; ++i) {
        void *datagram = malloc(60000);
        CHECK(send(pair[0], "water", 5, 0) == 5);
        CHECK(recv(pair[1], (char *)datagram + i * 200, 5, 0) == 5);
        CHECK(memcmp((char *)datagram + i * 200, "water", 5) == 0);
        if (i % 2) {
            free(datagram);
        }
    }
}

static const struct test_case CASES[] = {
    { "realloc null zero", realloc_of_null_and_to_zero },
    { "realloc contents", realloc_keeps_contents },
    { "realloc steps", realloc_grows_by_steps },
    { "calloc", calloc_is_zero },
    { "kernel", kernel_fills_fresh_blocks },
};

MAIN(CASES)
