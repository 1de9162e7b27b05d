/* dlopen of many libraries with thread-local variables, which the dynamic loader allocates when they are touched. */
#include "check.h"

#include <pthread.h>

#define LIBRARIES 40
#define THREADS 4

static void *libraries[LIBRARIES];
static long (*touch[LIBRARIES])(void *);
static void *(*give_back[LIBRARIES])(void);
static pthread_barrier_t barrier;

static void load(int number)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tls-%d.so", getenv("TEST_DIRECTORY"), number);
    libraries[number] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (libraries[number] == NULL) {
        fprintf(stderr, "%s\n", dlerror());
    }
    CHECK(libraries[number] != NULL);
    touch[number] = (long (*)(void *))dlsym(libraries[number], "touch");
    give_back[number] = (void *(*)(void))dlsym(libraries[number], "give_back");
    CHECK(touch[number] != NULL && give_back[number] != NULL);
}

static void use_all(long expected)
{
    for (int i = 0; i < LIBRARIES; ++i) {
        char *block = (char *)malloc(size(100 + 50 * (size_t)i));
        CHECK(block != NULL);
        block[0] = (char)i;
        CHECK(touch[i](block) == expected);
    }
    for (int i = 0; i < LIBRARIES; ++i) {
        char *block = (char *)give_back[i]();
        CHECK(block != NULL && block[0] == (char)i);
        free(block);
    }
}

/* Was there before the libraries. */
static void *early_thread(void *unused)
{
    free(malloc(10));
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    use_all(17);
    use_all(18);
    return unused;
}

static void *late_thread(void *unused)
{
    use_all(17);
    return unused;
}

static _Atomic bool ended;

static void *busy(void *unused)
{
    while (!ended) {
        for (size_t bytes = 1; bytes < 100000; bytes *= 3) {
            free(malloc(size(bytes)));
        }
    }
    return unused;
}

int main(void)
{
    pthread_t early[THREADS], late[THREADS], churning;
    CHECK(pthread_create(&churning, NULL, busy, NULL) == 0);
    for (int round = 0; round < 3; ++round) {
        CHECK(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
        for (int i = 0; i < THREADS; ++i) {
            CHECK(pthread_create(&early[i], NULL, early_thread, NULL) == 0);
        }
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < LIBRARIES; ++i) {
            load(i);
        }
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < THREADS; ++i) {
            CHECK(pthread_create(&late[i], NULL, late_thread, NULL) == 0);
        }
        use_all(17);
        for (int i = 0; i < THREADS; ++i) {
            CHECK(pthread_join(early[i], NULL) == 0 && pthread_join(late[i], NULL) == 0);
        }
        for (int i = 0; i < LIBRARIES; ++i) {
            CHECK(dlclose(libraries[i]) == 0);
        }
        CHECK(pthread_barrier_destroy(&barrier) == 0);
    }
    ended = true;
    CHECK(pthread_join(churning, NULL) == 0);
    puts("loaded");
    return 0;
}
