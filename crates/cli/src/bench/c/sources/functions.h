/* Vector and matrix functions that return their results in any space. Only targets need `restrict`, which must be on a
 * parameter, so the loops are functions of their own. */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "space.h"

static inline void copy_into(size_t n, double *restrict to, const double *a)
{
    memcpy(to, a, n * sizeof *to);
}

static inline void add_into(size_t n, double *restrict to, const double *a, const double *b)
{
    for (size_t i = 0; i < n; ++i) {
        to[i] = a[i] + b[i];
    }
}

static inline void subtract_into(size_t n, double *restrict to, const double *a, const double *b)
{
    for (size_t i = 0; i < n; ++i) {
        to[i] = a[i] - b[i];
    }
}

static inline void scale_into(size_t n, double *restrict to, const double *a, double by)
{
    for (size_t i = 0; i < n; ++i) {
        to[i] = a[i] * by;
    }
}

static inline void apply_into(size_t n, double *restrict to, const double *m, const double *x)
{
    const double *below = m, *on = m + n, *above = m + 2 * n;
    to[0] = on[0] * x[0] + above[0] * x[1];
    for (size_t i = 1; i < n - 1; ++i) {
        to[i] = below[i] * x[i - 1] + on[i] * x[i] + above[i] * x[i + 1];
    }
    to[n - 1] = below[n - 1] * x[n - 2] + on[n - 1] * x[n - 1];
}

static inline vec copy(space *out, size_t n, const double *a)
{
    vec result;
    SET_LENGTH(n);
    ALLOCATE(out, n);
    copy_into(n, result.at, a);
    return result;
}

static inline vec add(space *out, const vec *a, const vec *b)
{
    size_t n = LENGTH_OF(a);
    vec result;
    SET_LENGTH(n);
    ALLOCATE(out, n);
    add_into(n, result.at, a->at, b->at);
    return result;
}

static inline vec subtract(space *out, const vec *a, const vec *b)
{
    size_t n = LENGTH_OF(a);
    vec result;
    SET_LENGTH(n);
    ALLOCATE(out, n);
    subtract_into(n, result.at, a->at, b->at);
    return result;
}

static inline vec scale(space *out, const vec *a, double by)
{
    size_t n = LENGTH_OF(a);
    vec result;
    SET_LENGTH(n);
    ALLOCATE(out, n);
    scale_into(n, result.at, a->at, by);
    return result;
}

/* The dot product, as four interleaved partial sums, which the processor can compute in parallel. */
static inline double dot(const vec *a, const vec *b)
{
    size_t n = LENGTH_OF(a), i = 0;
    double sums[4] = {0, 0, 0, 0};
    for (; i + 4 <= n; i += 4) {
        for (size_t lane = 0; lane < 4; ++lane) {
            sums[lane] += a->at[i + lane] * b->at[i + lane];
        }
    }
    for (size_t lane = 0; i + lane < n; ++lane) {
        sums[lane & 3] += a->at[i + lane] * b->at[i + lane];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static inline mat copy_matrix(space *out, size_t n, const double *a)
{
    mat result;
    SET_LENGTH(n);
    ALLOCATE(out, BANDS * n);
    copy_into(BANDS * n, result.at, a);
    return result;
}

static inline mat add_matrices(space *out, const mat *a, const mat *b)
{
    size_t n = LENGTH_OF(a);
    mat result;
    SET_LENGTH(n);
    ALLOCATE(out, BANDS * n);
    add_into(BANDS * n, result.at, a->at, b->at);
    return result;
}

static inline mat scale_matrix(space *out, const mat *a, double by)
{
    size_t n = LENGTH_OF(a);
    mat result;
    SET_LENGTH(n);
    ALLOCATE(out, BANDS * n);
    scale_into(BANDS * n, result.at, a->at, by);
    return result;
}

/* A matrix times a vector. */
static inline vec apply(space *out, const mat *m, const vec *x)
{
    size_t n = LENGTH_OF(x);
    vec result;
    SET_LENGTH(n);
    ALLOCATE(out, n);
    apply_into(n, result.at, m->at, x->at);
    return result;
}

#endif
