/* Programs in little memory. */
#include "work.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* There is a limit of address space: the program still can have some itself, and threads. */
static void *with_a_stack(void *unused)
{
    allocate(8, 2000);
    return unused;
}

static void limited(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    allocate(4, 3000);
    char *blocks[160];
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        blocks[i] = (char *)malloc(100000);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], (int)i, 100000);
    }
    void *mapped = mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapped != MAP_FAILED);
    memset(mapped, 1, 16 * MIB);
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 4 * MIB) == 0);
    pthread_t threads[3];
    for (size_t i = 0; i < COUNT(threads); ++i) {
        CHECK(pthread_create(&threads[i], &attributes, with_a_stack, NULL) == 0);
    }
    for (size_t i = 0; i < COUNT(threads); ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    errno = 0;
    CHECK(malloc(size(limit.rlim_cur)) == NULL && errno == ENOMEM);
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        CHECK(blocks[i][0] == (char)i && blocks[i][99999] == (char)i);
        free(blocks[i]);
    }
    CHECK(munmap(mapped, 16 * MIB) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        allocate(6, 1000);
        _exit(0);
    }
    succeeded(child);
}

/* Takes blocks until there are no more, of several sizes: the last answer is NULL and ENOMEM, and what is freed can be
 * used again. Prints how many KiB there were. */
static void exhausts(void)
{
    static const size_t bytes[] = { 1000, 64, 30000, 1 * MIB };
    size_t most = 0;
    for (size_t kind = 0; kind < COUNT(bytes); ++kind) {
        void **list = NULL, **block;
        size_t count = 0;
        errno = 0;
        while ((block = (void **)malloc(size(bytes[kind]))) != NULL && count * bytes[kind] < 2 * GIB) {
            memset(block, (int)count, bytes[kind] < 4096 ? bytes[kind] : 4096);
            *block = list;
            list = block;
            ++count;
        }
        CHECK(block == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(calloc(1, size(3 * GIB)) == NULL && errno == ENOMEM);
        if (list != NULL) {
            errno = 0;
            CHECK(realloc(list, size(3 * GIB)) == NULL && errno == ENOMEM);
            /* What shrinks needs nothing. */
            list = (void **)realloc(list, size(bytes[kind] - bytes[kind] / 3));
            CHECK(list != NULL);
        }
        if (kind == 0) {
            most = count * bytes[kind];
        }
        /* The others are freed in turn, so that a policy which reuses nothing singly has everything back. */
        while (list != NULL) {
            block = (void **)*list;
            free(list);
            list = block;
        }
        CHECK(kind == 0 || count * bytes[kind] >= most / 3);
    }
    printf("%zu\n", most / KIB);
}

/* Prints how many MiB of address space the process has. */
static void reserves(void)
{
    free(malloc(1));
    printf("%zu\n", statm(0) / MIB);
}

/* Writes a file of 100 MiB, which the kernel keeps in memory until it has written it out, and takes as much memory as is
 * wanted. Says whether it got all of it. */
static void beside(void)
{
    static char piece[MIB];
    FILE *file = fopen(getenv("BESIDE_FILE"), "w");
    CHECK(file != NULL);
    for (size_t i = 0; i < 100; ++i) {
        CHECK(fwrite(piece, 1, MIB, file) == MIB);
    }
    CHECK(fflush(file) == 0);
    size_t wanted = (size_t)atoi(getenv("BESIDE_MIB"));
    for (size_t i = 0; i < wanted * MIB / 10000; ++i) {
        char *block = (char *)malloc(10000);
        if (block == NULL) {
            CHECK(errno == ENOMEM);
            printf("refused\n");
            return;
        }
        memset(block, 1, 10000);
    }
    printf("all\n");
}

static void nothing(void)
{
    allocate(5, 1000);
}

static const struct test_case CASES[] = {
    { "nothing", nothing },
    { "limited", limited },
    { "exhausts", exhausts },
    { "reserves", reserves },
    { "beside", beside },
};

MAIN(CASES)
