/* Threads that begin and end: with small stacks, with destructors that allocate, and by the thousand. */
#include "check.h"

#include <limits.h>
#include <pthread.h>

#define MADE_BY_ALL 12

/* Blocks of so many sizes from all over, written to and freed. */
static void allocate_some(int count)
{
    static const size_t bytes[MADE_BY_ALL] = { 1, 16, 40, 100, 500, 1000, 4000, 9000, 33000, 70000, 200000, 1000000 };
    char *blocks[MADE_BY_ALL];
    for (int i = 0; i < count; ++i) {
        blocks[i] = (char *)malloc(size(bytes[i]));
        CHECK(blocks[i] != NULL);
        blocks[i][0] = (char)i;
        blocks[i][bytes[i] - 1] = (char)i;
    }
    for (int i = 0; i < count; ++i) {
        CHECK(blocks[i][0] == (char)i && blocks[i][bytes[i] - 1] == (char)i);
        blocks[i] = (char *)realloc(blocks[i], bytes[i] + 30);
        CHECK(blocks[i] != NULL && blocks[i][0] == (char)i);
        free(blocks[i]);
    }
}

static void allocate(void)
{
    allocate_some(MADE_BY_ALL);
}

static void in_threads(int count, const pthread_attr_t *attributes, void *(*body)(void *))
{
    pthread_t threads[8];
    for (int i = 0; i < count; ++i) {
        CHECK(pthread_create(&threads[i], attributes, body, NULL) == 0);
    }
    for (int i = 0; i < count; ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void *allocates(void *unused)
{
    allocate();
    return unused;
}

static void *allocates_small(void *unused)
{
    allocate_some(8);
    return unused;
}

/* Ends while blocks live that were its own, which another thread frees. */
static void *leaves_blocks(void *unused)
{
    (void)unused;
    void **list = NULL;
    for (int i = 0; i < 20; ++i) {
        void **block = (void **)malloc(size(16 + 50 * (size_t)i));
        CHECK(block != NULL);
        *block = list;
        list = block;
    }
    return list;
}

static void free_list(void **list)
{
    while (list != NULL) {
        void **next = (void **)*list;
        free(list);
        list = next;
    }
}

static void ten_thousand(void)
{
    size_t address_space = 0, resident = 0;
    for (int round = 0; round < 2500; ++round) {
        pthread_t threads[4];
        for (int i = 0; i < 4; ++i) {
            CHECK(pthread_create(&threads[i], NULL, i == 0 ? leaves_blocks : allocates_small, NULL) == 0);
        }
        for (int i = 0; i < 4; ++i) {
            void *list;
            CHECK(pthread_join(threads[i], &list) == 0);
            free_list((void **)list);
        }
        if (round == 250) {
            address_space = statm(0);
            resident = statm(1);
        }
    }
    /* After the first thousand threads no more memory is needed. */
    CHECK(statm(1) < resident + 32 * MIB);
    CHECK(statm(0) < address_space + 256 * MIB);
}

static void small_stacks(void)
{
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    allocate();
    in_threads(8, &attributes, allocates);
    in_threads(8, &attributes, leaves_blocks);
    CHECK(pthread_attr_destroy(&attributes) == 0);
}

/* Keys from before the first allocation of this program and from after it: destructors run in their order, so that some
 * run after the allocator's own, if it has one. Each is called again as long as it sets its value again. */
static pthread_key_t keys[40];
static _Atomic int destroyed;

static void destroy(void *value)
{
    char *block = (char *)value;
    int left = block[0];
    CHECK(memcmp(block, "\1last words", 11) == 0 || block[0] != 1);
    CHECK(left > 0 && left <= PTHREAD_DESTRUCTOR_ITERATIONS);
    allocate();
    free(block);
    ++destroyed;
    if (left > 1) {
        block = (char *)malloc(700 + 100 * (size_t)left);
        CHECK(block != NULL);
        memcpy(block, "\1last words", 12);
        block[0] = (char)(left - 1);
        for (size_t i = 0; i < COUNT(keys); ++i) {
            if (pthread_getspecific(keys[i]) == NULL) {
                CHECK(pthread_setspecific(keys[i], block) == 0);
                return;
            }
        }
        CHECK(false);
    }
    /* The library of C keeps the texts of these for the thread, and frees them after all destructors. */
    CHECK(strstr(strerror(12345), "12345") != NULL);
    CHECK(dlopen("/no/such/library.so", RTLD_NOW) == NULL && dlerror() != NULL);
}

static void *with_values(void *all)
{
    for (size_t i = 0; i < COUNT(keys); ++i) {
        /* Half of the threads have allocated nothing when their destructors run. */
        char *block = all != NULL || i == 20 ? (char *)malloc(100) : NULL;
        if (block != NULL) {
            memcpy(block, "\1last words", 12);
            block[0] = PTHREAD_DESTRUCTOR_ITERATIONS;
            CHECK(pthread_setspecific(keys[i], block) == 0);
        }
    }
    return NULL;
}

static char passed_in[3][16] = { "\1last words", "\1last words", "\1last words" };

static void destroy_static(void *value)
{
    CHECK(value >= (void *)passed_in && value < (void *)(passed_in + 3));
    allocate();
    ++destroyed;
}

static void *without_allocation(void *key)
{
    CHECK(pthread_setspecific(*(pthread_key_t *)key, passed_in[1]) == 0);
    return NULL;
}

static void destructors(void)
{
    pthread_key_t early;
    CHECK(pthread_key_create(&early, destroy_static) == 0);
    for (size_t i = 0; i < COUNT(keys); ++i) {
        CHECK(pthread_key_create(&keys[i], destroy) == 0);
        if (i == 10) {
            allocate();
        }
    }
    size_t resident = 0;
    int expected = 0;
    for (int round = 0; round < 100; ++round) {
        pthread_t threads[3];
        CHECK(pthread_create(&threads[0], NULL, with_values, NULL) == 0);
        CHECK(pthread_create(&threads[1], NULL, with_values, threads) == 0);
        CHECK(pthread_create(&threads[2], NULL, without_allocation, &early) == 0);
        for (int i = 0; i < 3; ++i) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
        expected += 1;
        if (round == 20) {
            resident = statm(1);
        }
    }
    CHECK(destroyed >= expected + 41 * 100);
    CHECK(statm(1) < resident + 32 * MIB);
}

/* Many threads that live at once: more than some tables have entries for. */
static pthread_barrier_t barrier;

static void *waits(void *unused)
{
    void *list = leaves_blocks(NULL);
    pthread_barrier_wait(&barrier);
    allocate();
    pthread_barrier_wait(&barrier);
    (void)unused;
    return list;
}

static void at_once(size_t count)
{
    pthread_t *threads = (pthread_t *)calloc(count, sizeof *threads);
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 64 * KIB) == 0);
    CHECK(pthread_barrier_init(&barrier, NULL, (unsigned)count + 1) == 0);
    size_t made = 0;
    while (made < count && pthread_create(&threads[made], &attributes, waits, NULL) == 0) {
        ++made;
    }
    if (made < count) {
        static const char words[] = "threads: this machine allows too few\n";
        CHECK(write(1, words, sizeof words - 1) > 0);
        _exit(0);
    }
    pthread_barrier_wait(&barrier);
    allocate();
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < count; ++i) {
        void *list;
        CHECK(pthread_join(threads[i], &list) == 0);
        free_list((void **)list);
    }
    CHECK(pthread_barrier_destroy(&barrier) == 0 && pthread_attr_destroy(&attributes) == 0);
    free(threads);
}

static void hundreds(void)
{
    at_once(200);
    at_once(200);
}

static void thousands(void)
{
    at_once(1500);
    at_once(1500);
}

/* A thread that is cancelled, and one that exits from deep inside. */
static void *is_cancelled(void *unused)
{
    while (unused == NULL) {
        allocate();
        pthread_testcancel();
    }
    return unused;
}

static void *exits(void *unused)
{
    allocate();
    pthread_exit(unused);
}

static void cancelled(void)
{
    for (int round = 0; round < 30; ++round) {
        /* So many that they wait for each other. */
        pthread_t threads[6];
        for (size_t i = 0; i < COUNT(threads); ++i) {
            CHECK(pthread_create(&threads[i], NULL, is_cancelled, NULL) == 0);
        }
        allocate();
        for (size_t i = 0; i < COUNT(threads); ++i) {
            CHECK(pthread_cancel(threads[i]) == 0);
        }
        for (size_t i = 0; i < COUNT(threads); ++i) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
        in_threads(2, NULL, exits);
    }
}

static void last_words(void)
{
    allocate();
    free_list((void **)leaves_blocks(NULL));
}

static void of_the_main_thread(void *value)
{
    last_words();
    free(value);
}

/* The main thread ends first; handlers of the process's end allocate. */
static void *outlives(void *unused)
{
    usleep(20000);
    allocate();
    return unused;
}

static void main_thread_ends(void)
{
    CHECK(atexit(last_words) == 0);
    pthread_key_t key;
    CHECK(pthread_key_create(&key, of_the_main_thread) == 0 && pthread_setspecific(key, malloc(1000)) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, outlives, NULL) == 0);
    pthread_exit(NULL);
}

static const struct test_case CASES[] = {
    { "ten thousand", ten_thousand },
    { "small stacks", small_stacks },
    { "destructors", destructors },
    { "hundreds", hundreds },
    { "thousands", thousands },
    { "cancelled", cancelled },
    { "main thread ends", main_thread_ends },
};

MAIN(CASES)
