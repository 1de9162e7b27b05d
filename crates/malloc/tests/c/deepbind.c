/* Blocks of another allocator that come to this one. */
#include "check.h"

#include <pthread.h>

static void *(*make)(size_t, int), *(*make_aligned)(size_t, size_t, int);

static bool holds(const char *block, size_t bytes, char tag)
{
    return bytes == 0 || (block[0] == tag && memcmp(block, block + 1, bytes - 1) == 0);
}

static void foreign_blocks(void)
{
    for (size_t bytes = 1; bytes < 8 * MIB; bytes = bytes * 3 + 1) {
        char *block = (char *)hidden(make(bytes, 1));
        CHECK(block != NULL);
        size_t usable = malloc_usable_size(block);
        CHECK(usable >= bytes && usable < bytes + 8192);
        errno = 44;
        free(block);
        CHECK(errno == 44);
        block = (char *)hidden(make(bytes, 2));
        block = (char *)realloc(block, 2 * bytes + 5);
        CHECK(block != NULL && holds(block, bytes, 2) && malloc_usable_size(block) >= 2 * bytes + 5);
        memset(block, 3, 2 * bytes + 5);
        free(block);
        block = (char *)hidden(make(bytes, 4));
        block = (char *)realloc(block, bytes / 2 + 1);
        CHECK(block != NULL && holds(block, bytes / 2 + 1 < bytes ? bytes / 2 + 1 : bytes, 4));
        free(block);
        CHECK(realloc(hidden(make(bytes, 5)), size(0)) == NULL);
        errno = 0;
        block = (char *)hidden(make(bytes, 6));
        CHECK(realloc(block, size(SIZE_MAX)) == NULL && errno == ENOMEM);
        CHECK(reallocarray(block, size(SIZE_MAX / 2), 4) == NULL && holds(block, bytes, 6));
        free(block);
        block = (char *)hidden(make_aligned(4096, bytes, 7));
        block = (char *)realloc(block, bytes + 4096);
        CHECK(block != NULL && holds(block, bytes, 7));
        free(block);
    }
}

static void *in_a_thread(void *unused)
{
    for (int i = 0; i < 20; ++i) {
        foreign_blocks();
    }
    return unused;
}

int main(void)
{
    void *plugin = dlopen(getenv("TEST_PLUGIN"), RTLD_NOW | RTLD_DEEPBIND);
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
    }
    CHECK(plugin != NULL);
    make = (void *(*)(size_t, int))dlsym(plugin, "plugin_make");
    make_aligned = (void *(*)(size_t, size_t, int))dlsym(plugin, "plugin_make_aligned");
    void *(*whose)(void) = (void *(*)(void))dlsym(plugin, "plugin_malloc");
    CHECK(make != NULL && make_aligned != NULL && whose != NULL);
    /* The test is one of two allocators. */
    CHECK(is_ours() == (whose() != (void *)malloc));
    foreign_blocks();
    pthread_t threads[3];
    for (size_t i = 0; i < COUNT(threads); ++i) {
        CHECK(pthread_create(&threads[i], NULL, in_a_thread, NULL) == 0);
    }
    for (size_t i = 0; i < COUNT(threads); ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    puts("forwarded");
    return 0;
}
