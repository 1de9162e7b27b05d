/* A program that opens the library, makes an arena, and closes the library. It is not linked with it. */
#include "check.h"

#include <dlfcn.h>

#define MIB ((size_t)1 << 20)

/* The library is closed with growth to come: its handler stays. */
static void closed(void)
{
    void *library = dlopen(getenv("TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    hw_arena *(*make)(const hw_options *);
    void *(*base)(const hw_arena *);
    *(void **)&make = dlsym(library, "hw_arena_new");
    *(void **)&base = dlsym(library, "hw_arena_base");
    CHECK(make != NULL && base != NULL);
    char *memory = (char *)base(make(NULL));
    memory[MIB] = 1;
    CHECK(dlclose(library) == 0);
    CHECK(dlopen(getenv("TEST_LIBRARY"), RTLD_NOW | RTLD_NOLOAD) != NULL);
    memory[64 * MIB] = 1;
    CHECK(memory[MIB] == 1 && memory[32 * MIB] == 0);
}

static const struct test_case cases[] = {{"closed", closed}};
MAIN(cases)
