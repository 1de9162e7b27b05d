/* What the examples share: running variants of one computation side by side, comparing what they computed bit for bit,
 * and printing what a step of each took.
 *
 * The results have to be equal in every bit, and not within a tolerance, because every variant does the same operations
 * on the same numbers in the same order: the compiler may reorder or fuse none of them as long as it is not given
 * -ffast-math, and is given -ffp-contract=off (gcc fuses a multiplication and an addition by default where the processor
 * can, and need not do it in the same places of two functions). */
#ifndef EXAMPLES_COMPARE_H
#define EXAMPLES_COMPARE_H

/* For clock_gettime; it has to come before every other header. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct variant {
    const char *name;
    /* Computes the result of a problem; false where this variant does not do this problem. */
    bool (*run)(const void *problem, void *result);
} variant;

#define MAX_VARIANTS 4
#ifndef ROUNDS
#define ROUNDS 7
#endif

/* The processor's time, and not that on the wall: other programs may be running. */
static inline double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* FNV-1a: a short name of a result. */
static inline uint64_t fingerprint(const void *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < size; ++i) {
        hash = (hash ^ at[i]) * 1099511628211U;
    }
    return hash;
}

static inline int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, ascending);
    return values[ROUNDS / 2];
}

/* Runs all variants once a round, in turn, so that a slow moment of the machine hits them all. The ratios are the
 * medians of the rounds' ratios to the first variant. The result that is left is the first variant's. Whether all
 * results had the same bits. */
static inline bool compare(const variant *variants, size_t count, const void *problem, void *result, size_t size,
                           size_t steps)
{
    double took[MAX_VARIANTS][ROUNDS], ratio[MAX_VARIANTS][ROUNDS];
    uint64_t found[MAX_VARIANTS] = {0};
    bool ran[MAX_VARIANTS] = {false}, same = true;
    void *first = malloc(size);
    if (first == NULL || count > MAX_VARIANTS) {
        abort();
    }
    for (size_t round = 0; round < ROUNDS; ++round) {
        for (size_t i = 0; i < count; ++i) {
            double start;
            memset(result, 0, size);
            start = now_ns();
            ran[i] = variants[i].run(problem, result);
            took[i][round] = (now_ns() - start) / (double)steps;
            ratio[i][round] = took[i][round] / took[0][round];
            found[i] = fingerprint(result, size);
            if (i == 0) {
                memcpy(first, result, size);
            }
            same = same && (!ran[i] || memcmp(first, result, size) == 0);
        }
    }
    memcpy(result, first, size);
    free(first);
    printf("  %-8s %14s %8s   %s\n", "variant", "ns a step", "ratio", "result");
    for (size_t i = 0; i < count; ++i) {
        if (ran[i]) {
            double ns = median(took[i]), times = median(ratio[i]);
            printf("  %-8s %14.1f %8.2f   %016llx\n", variants[i].name, ns, times, (unsigned long long)found[i]);
        } else {
            printf("  %-8s %14s\n", variants[i].name, "-");
        }
    }
    printf("  %s\n", same ? "the same in every bit" : "NOT THE SAME");
    return same;
}

/* The argument at this place, a whole number of 1 and more, or a default. */
static inline size_t argument(int count, char **arguments, int place, size_t otherwise)
{
    char *end;
    unsigned long long value;
    if (place >= count) {
        return otherwise;
    }
    errno = 0;
    value = strtoull(arguments[place], &end, 10);
    if (errno != 0 || end == arguments[place] || *end != 0 || arguments[place][0] == '-' || value == 0
        || value > UINT32_MAX) {
        fprintf(stderr, "%s: %s is not a whole number from 1 to %lu\n", arguments[0], arguments[place],
                (unsigned long)UINT32_MAX);
        exit(2);
    }
    return (size_t)value;
}

#endif
