/* What the test programs share: checks that stay in optimised builds, and cases that are run by name. */
#ifndef CHECK_H
#define CHECK_H

#include <highwater.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

struct test_case {
    const char *name;
    void (*run)(void);
};

/* Runs the case that the program was started for. */
static inline int run_case(const struct test_case *cases, size_t count, int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < count; ++i) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    fprintf(stderr, "no such case\n");
    return 2;
}

#define MAIN(cases) \
    int main(int argc, char **argv) \
    { \
        return run_case(cases, sizeof cases / sizeof *cases, argc, argv); \
    }

static inline bool is_aligned(const void *pointer, size_t align)
{
    return (uintptr_t)pointer % align == 0;
}

/* Whether a pointer is not null, although its function promises so. */
static inline bool is_there(const void *pointer)
{
    const void *volatile hidden = pointer;
    return hidden != NULL;
}

static inline bool contains(const char *text, const char *part)
{
    bool found = strstr(text, part) != NULL;
    if (!found) {
        fprintf(stderr, "no \"%s\" in \"%s\"\n", part, text);
    }
    return found;
}

/* An arena of so many bytes. */
static inline hw_arena *arena_of(size_t reserve)
{
    hw_options options = hw_options_init();
    options.name = "test";
    options.reserve = reserve;
    return hw_arena_new(&options);
}

#endif
