/* What glibc's manual and its behaviour promise of every entry point, with sizes at the ends of their range. */
#include "blocks.h"

/* No block is that large; all but the first are beyond PTRDIFF_MAX, or come there by rounding. */
static const size_t HUGE[] = {
    PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX - 4095, SIZE_MAX - 8192, SIZE_MAX - 4096,
    SIZE_MAX - 4095, SIZE_MAX - 63, SIZE_MAX - 16, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX,
};

/* The call gives NULL and sets this errno. */
#define REFUSED(call, number) \
    do { \
        errno = 0; \
        CHECK((call) == NULL); \
        CHECK(errno == (number)); \
    } while (0)

static void *extra(const char *name)
{
    void *function = dlsym(RTLD_DEFAULT, name);
    CHECK(!is_ours() || function != NULL);
    return function;
}

static void sizes(void)
{
    for (size_t bytes = 0; bytes <= 64 * MIB; bytes = step(bytes)) {
        void *block = malloc(size(bytes));
        good(block, bytes, 16);
        void *second = malloc(size(bytes));
        CHECK(second != NULL && second != block);
        free(block);
        free(second);
    }
}

static void zero(void)
{
    void *blocks[64];
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        switch (i % 4) {
        case 0: blocks[i] = malloc(size(0)); break;
        case 1: blocks[i] = calloc(size(0), 8); break;
        case 2: blocks[i] = calloc(8, size(0)); break;
        default: blocks[i] = realloc(NULL, size(0));
        }
        CHECK(blocks[i] != NULL && is_aligned(blocks[i], 16));
        for (size_t j = 0; j < i; ++j) {
            CHECK(blocks[i] != blocks[j]);
        }
    }
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        free(blocks[i]);
    }
    void *aligned[] = { memalign(64, size(0)), aligned_alloc(64, size(0)), valloc(size(0)), pvalloc(size(0)), NULL };
    CHECK(posix_memalign(&aligned[4], 64, size(0)) == 0);
    for (size_t i = 0; i < COUNT(aligned); ++i) {
        CHECK(aligned[i] != NULL && is_aligned(aligned[i], i == 2 || i == 3 ? 4096 : 64));
        for (size_t j = 0; j < i; ++j) {
            CHECK(aligned[i] != aligned[j]);
        }
    }
    for (size_t i = 0; i < COUNT(aligned); ++i) {
        free(aligned[i]);
    }
    free(NULL);
    CHECK(malloc_usable_size(NULL) == 0);
}

static void huge(void)
{
    void *(*reallocf)(void *, size_t) = (void *(*)(void *, size_t))extra("reallocf");
    char *kept = (char *)malloc(100);
    fill(kept, 100, 7);
    for (size_t i = 0; i < COUNT(HUGE); ++i) {
        size_t bytes = size(HUGE[i]);
        REFUSED(malloc(bytes), ENOMEM);
        REFUSED(calloc(1, bytes), ENOMEM);
        REFUSED(calloc(bytes, 1), ENOMEM);
        REFUSED(realloc(NULL, bytes), ENOMEM);
        REFUSED(realloc(kept, bytes), ENOMEM);
        REFUSED(reallocarray(NULL, bytes, 1), ENOMEM);
        REFUSED(reallocarray(kept, 1, bytes), ENOMEM);
        REFUSED(valloc(bytes), ENOMEM);
        REFUSED(pvalloc(bytes), ENOMEM);
        static const size_t aligns[] = { 8, 16, 32, 64, 4096, 2 * MIB, GIB, (size_t)1 << 62, (size_t)1 << 63 };
        for (size_t j = 0; j < COUNT(aligns); ++j) {
            size_t align = size(aligns[j]);
            REFUSED(memalign(align, bytes), ENOMEM);
            REFUSED(aligned_alloc(align, bytes), ENOMEM);
            void *out = kept;
            errno = 77;
            CHECK(posix_memalign(&out, align, bytes) == ENOMEM);
            CHECK(out == kept);
            CHECK(!is_ours() || errno == 77);
        }
        CHECK(holds(kept, 100, 7));
        if (reallocf != NULL) {
            void *lost = malloc(1000);
            REFUSED(reallocf(lost, bytes), ENOMEM);
            REFUSED(reallocf(NULL, bytes), ENOMEM);
        }
    }
    free(kept);
}

static void products(void)
{
    static const size_t pairs[][2] = {
        { SIZE_MAX, 2 }, { SIZE_MAX, SIZE_MAX }, { (size_t)1 << 32, (size_t)1 << 32 }, { (size_t)1 << 63, 2 },
        { SIZE_MAX / 3 + 1, 3 }, { ((size_t)1 << 33) + 1, (size_t)1 << 31 }, { (size_t)1 << 62, 2 }, { (size_t)1 << 62, 4 },
    };
    char *kept = (char *)malloc(200);
    fill(kept, 200, 9);
    for (size_t i = 0; i < COUNT(pairs); ++i) {
        for (size_t turn = 0; turn < 2; ++turn) {
            size_t a = size(pairs[i][turn]), b = size(pairs[i][1 - turn]);
            REFUSED(calloc(a, b), ENOMEM);
            REFUSED(reallocarray(NULL, a, b), ENOMEM);
            REFUSED(reallocarray(kept, a, b), ENOMEM);
        }
    }
    CHECK(holds(kept, 200, 9));
    kept = (char *)reallocarray(kept, 30, 100);
    CHECK(kept != NULL && holds(kept, 200, 9) && malloc_usable_size(kept) >= 3000);
    CHECK(reallocarray(kept, size(0), 8) == NULL);
    void *fresh = reallocarray(NULL, 3, 50);
    good(fresh, 150, 16);
    free(fresh);
}

static void alignments(void)
{
    for (size_t align = 8; align <= 4 * MIB; align *= 2) {
        static const size_t bytes[] = { 0, 1, 8, 24, 100, 1000, 4096, 5000, 70000, 600000 };
        for (size_t i = 0; i < COUNT(bytes); ++i) {
            void *blocks[3] = { memalign(align, size(bytes[i])), aligned_alloc(align, size(bytes[i])), NULL };
            CHECK(posix_memalign(&blocks[2], align, size(bytes[i])) == 0);
            for (size_t j = 0; j < 3; ++j) {
                good(blocks[j], bytes[i], align);
            }
            fill(blocks[1], bytes[i], 0x11);
            blocks[1] = realloc(blocks[1], bytes[i] + 100);
            CHECK(blocks[1] != NULL && holds(blocks[1], bytes[i], 0x11));
            fill(blocks[1], bytes[i] + 100, 0x22);
            for (size_t j = 0; j < 3; ++j) {
                free(blocks[j]);
            }
        }
    }
    for (size_t bytes = 0; bytes < 20000; bytes += 999) {
        void *page = valloc(size(bytes));
        good(page, bytes, 4096);
        free(page);
        page = pvalloc(size(bytes));
        good(page, (bytes + 4095) / 4096 * 4096, 4096);
        free(page);
    }
}

static void odd_alignments(void)
{
    /* memalign takes any alignment, and rounds it up; beyond the largest power of two there is none. */
    static const size_t rounded[][2] = {
        { 0, 16 }, { 1, 16 }, { 2, 16 }, { 3, 16 }, { 5, 16 }, { 17, 32 }, { 24, 32 }, { 48, 64 }, { 100, 128 }, { 4097, 8192 },
    };
    for (size_t i = 0; i < COUNT(rounded); ++i) {
        void *block = memalign(size(rounded[i][0]), 500);
        good(block, 500, rounded[i][1]);
        free(block);
        /* aligned_alloc does the same in glibc before 2.38, and says EINVAL since. */
        errno = 0;
        block = aligned_alloc(size(rounded[i][0]), 500);
        CHECK(block == NULL ? errno == EINVAL : is_aligned(block, rounded[i][1]));
        free(block);
    }
    static const size_t none[] = { ((size_t)1 << 63) + 1, SIZE_MAX - 1, SIZE_MAX };
    for (size_t i = 0; i < COUNT(none); ++i) {
        REFUSED(memalign(size(none[i]), 8), EINVAL);
        REFUSED(aligned_alloc(size(none[i]), 8), EINVAL);
    }
    static const size_t wrong[] = { 0, 1, 2, 3, 4, 7, 9, 12, 24, 48, 4097, SIZE_MAX, ((size_t)1 << 63) + 8 };
    for (size_t i = 0; i < COUNT(wrong); ++i) {
        void *out = (void *)wrong;
        errno = 77;
        CHECK(posix_memalign(&out, size(wrong[i]), 8) == EINVAL);
        CHECK(out == (void *)wrong && errno == 77);
    }
    for (int bit = 30; bit < 64; ++bit) {
        size_t align = size((size_t)1 << bit);
        errno = 0;
        void *block = memalign(align, 100);
        CHECK(block == NULL ? errno == ENOMEM : is_aligned(block, align));
        free(block);
        void *out = (void *)wrong;
        int result = posix_memalign(&out, align, 100);
        CHECK(result == 0 ? is_aligned(out, align) : result == ENOMEM && out == (void *)wrong);
        if (result == 0) {
            free(out);
        }
    }
    void *block = malloc(64);
    good(block, 64, 16);
    free(block);
}

static void free_keeps_errno(void)
{
    static void *blocks[300];
    static const size_t bytes[] = { 0, 16, 100, 5000, 40000, 300000, 3 * MIB, 64 * MIB };
    for (size_t i = 0; i < COUNT(bytes); ++i) {
        size_t count = bytes[i] > MIB ? 4 : COUNT(blocks);
        for (size_t j = 0; j < count; ++j) {
            blocks[j] = malloc(size(bytes[i]));
            CHECK(blocks[j] != NULL);
            memset(blocks[j], 1, bytes[i] < 4096 ? bytes[i] : 4096);
        }
        for (size_t j = 0; j < count; ++j) {
            errno = 1000 + (int)j;
            free(blocks[j]);
            CHECK(errno == 1000 + (int)j);
        }
        errno = 99;
        free(NULL);
        CHECK(errno == 99);
        malloc_trim(0);
    }
}

static void extras(void)
{
    void (*free_sized)(void *, size_t) = (void (*)(void *, size_t))extra("free_sized");
    void (*free_aligned_sized)(void *, size_t, size_t) = (void (*)(void *, size_t, size_t))extra("free_aligned_sized");
    void (*cfree)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
    void *(*reallocf)(void *, size_t) = (void *(*)(void *, size_t))extra("reallocf");
    size_t (*good_size)(size_t) = (size_t(*)(size_t))extra("malloc_good_size");
    if (!is_ours()) {
        return;
    }
    CHECK(cfree != NULL);
    for (size_t bytes = 0; bytes < 4 * MIB; bytes = step(bytes * 2)) {
        errno = 55;
        void *block = malloc(size(bytes));
        free_sized(hidden(block), bytes);
        block = calloc(1, size(bytes));
        free_sized(hidden(block), bytes);
        block = aligned_alloc(256, size(bytes));
        free_aligned_sized(hidden(block), 256, bytes);
        block = malloc(size(bytes));
        cfree(hidden(block));
        CHECK(errno == 55);
        CHECK(good_size(bytes) >= bytes);
        CHECK(good_size(good_size(bytes)) == good_size(bytes));
        block = malloc(good_size(bytes));
        good(block, good_size(bytes), 16);
        block = reallocf(block, size(bytes * 2 + 1));
        good(block, bytes * 2 + 1, 16);
        free(block);
    }
    free_sized(NULL, 0);
    free_sized(NULL, 100);
    free_aligned_sized(NULL, 64, 100);
    cfree(NULL);
    void *from_null = reallocf(NULL, 100);
    good(from_null, 100, 16);
    CHECK(reallocf(from_null, size(0)) == NULL);
    CHECK(good_size(SIZE_MAX) >= SIZE_MAX - 15);
    CHECK(good_size(PTRDIFF_MAX) >= PTRDIFF_MAX);
}

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void figures(void)
{
    size_t before = in_use();
    void *large[4];
    for (int i = 0; i < 4; ++i) {
        large[i] = malloc(16 * MIB);
        CHECK(large[i] != NULL);
        memset(large[i], 1, 16 * MIB);
    }
    size_t during = in_use();
    CHECK(during >= before + 64 * MIB && during < before + 72 * MIB);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.arena + info.hblkhd >= during);
    for (int i = 0; i < 4; ++i) {
        free(large[i]);
    }
    size_t after = in_use();
    CHECK(after <= before + MIB);
    size_t resident = statm(1);
    int trimmed = malloc_trim(0);
    CHECK(trimmed == 0 || trimmed == 1);
    CHECK(statm(1) <= resident + MIB);
    CHECK(statm(1) < 40 * MIB);
    CHECK(malloc_trim(16 * MIB) <= 1 && malloc_trim(SIZE_MAX) <= 1);
    void *again = malloc(16 * MIB);
    good(again, 16 * MIB, 16);
    free(again);
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* What the C library itself allocates, and what it tells its caller to free. */
static void the_library_of_c(void)
{
    char *text = NULL;
    CHECK(asprintf(&text, "%d %s", 5, "water") == 7 && strcmp(text, "5 water") == 0);
    free(text);
    text = strdup("high");
    CHECK(strcmp(text, "high") == 0);
    free(text);
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    for (int i = 0; i < 100000; ++i) {
        fprintf(stream, "%d ", i);
    }
    fclose(stream);
    CHECK(length == 588890 && strlen(text) == length);
    FILE *file = fmemopen(text, length, "r");
    char *line = NULL;
    size_t room = 0;
    CHECK(getdelim(&line, &room, 'x', file) == (ssize_t)length);
    fclose(file);
    free(line);
    free(text);
    char *path = realpath("/proc/self/exe", NULL);
    CHECK(path != NULL && path[0] == '/');
    free(path);
    path = getcwd(NULL, 0);
    CHECK(path != NULL);
    free(path);
    CHECK(setenv("SOME_NAME", "some value", 1) == 0 && strcmp(getenv("SOME_NAME"), "some value") == 0);
    int *numbers = (int *)malloc(300000 * sizeof *numbers);
    uint64_t state = 5;
    for (int i = 0; i < 300000; ++i) {
        numbers[i] = (int)(next_random(&state) % 1000000);
    }
    qsort(numbers, 300000, sizeof *numbers, compare);
    for (int i = 1; i < 300000; ++i) {
        CHECK(numbers[i - 1] <= numbers[i]);
    }
    free(numbers);
}

static const struct test_case CASES[] = {
    { "sizes", sizes },
    { "zero", zero },
    { "huge", huge },
    { "products", products },
    { "alignments", alignments },
    { "odd alignments", odd_alignments },
    { "free keeps errno", free_keeps_errno },
    { "extras", extras },
    { "figures", figures },
    { "libc", the_library_of_c },
};

MAIN(CASES)
