/* What the test programs share: checks that stay in optimised builds, cases that are run by name, and sizes and
 * pointers that the compiler knows nothing about. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Says what is not so without the allocator that is tested. */
__attribute__((noreturn, cold, unused)) static void not_so(const char *file, int line, const char *condition)
{
    char text[400];
    int length = snprintf(text, sizeof text, "%s:%d: not so: %s (errno %d)\n", file, line, condition, errno);
    ssize_t written = write(2, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
    _exit(written > 0 ? 1 : 2);
}

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            not_so(__FILE__, __LINE__, #condition); \
        } \
    } while (0)

/* A size and a pointer that the compiler cannot follow, so that it warns of nothing and removes nothing. */
static inline size_t size(size_t bytes)
{
    __asm__ volatile("" : "+r"(bytes));
    return bytes;
}

static inline void *hidden(const void *pointer)
{
    void *same = (void *)(uintptr_t)pointer;
    __asm__ volatile("" : "+r"(same) : : "memory");
    return same;
}

static inline bool is_aligned(const void *pointer, size_t align)
{
    return (uintptr_t)pointer % align == 0;
}

/* Whether the allocator is the one that is tested, or glibc's, which checks the tests. */
static inline bool is_ours(void)
{
    return dlsym(RTLD_DEFAULT, "malloc_good_size") != NULL;
}

/* Whether the tested allocator runs with this policy. */
static inline bool is_policy(const char *name)
{
    const char *policy = getenv("HIGHWATER_MALLOC");
    return is_ours() && policy != NULL && strncmp(policy, name, strlen(name)) == 0;
}

/* A figure of /proc/self/statm in bytes: 0 for address space, 1 for what is resident. */
__attribute__((unused)) static size_t statm(int field)
{
    char text[200] = {0};
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    unsigned long pages[2];
    CHECK(sscanf(text, "%lu %lu", &pages[0], &pages[1]) == 2);
    return pages[field] * (size_t)sysconf(_SC_PAGESIZE);
}

/* The same numbers in every run. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dULL >> 16;
}

struct test_case {
    const char *name;
    void (*run)(void);
};

/* Runs the cases that the program was started for. */
static inline int run_cases(const struct test_case *cases, size_t count, int argc, char **argv)
{
    for (int at = 1; at < argc; ++at) {
        size_t i = 0;
        while (i < count && strcmp(cases[i].name, argv[at]) != 0) {
            ++i;
        }
        if (i == count) {
            fprintf(stderr, "no case %s\n", argv[at]);
            return 2;
        }
        cases[i].run();
    }
    return argc > 1 ? 0 : 2;
}

#define MAIN(cases) \
    int main(int argc, char **argv) \
    { \
        return run_cases(cases, COUNT(cases), argc, argv); \
    }

#endif
