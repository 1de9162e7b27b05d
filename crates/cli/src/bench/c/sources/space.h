/* Where the vectors and matrices of a computation are allocated, and how they are freed: chosen by -DSPACE_ARENA,
 * -DSPACE_HEAP or -DSPACE_STACK. The programs are written once, on top of this.
 *
 * With -DLENGTH=8 all vectors have the constant length 8; on the stack this is required.
 *
 * A space is passed by pointer as the `out` of a result, and by value as `scratch`, for temporary values. OWNED is a
 * variable whose memory is freed at the end of its block: on the heap by a cleanup attribute (of gcc and clang), in an arena
 * together with the cursor. */
#ifndef SPACE_H
#define SPACE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BANDS 3

#ifdef LENGTH
#define LENGTH_OF(v) ((size_t)LENGTH)
#define SET_LENGTH(count) ((void)(count))
#else
#define LENGTH_OF(v) ((v)->length)
#define SET_LENGTH(count) result.length = (count)
#endif

#ifdef SPACE_STACK

typedef struct space {
    char none;
} space;
typedef struct vec {
    double at[LENGTH];
} vec;
typedef struct mat {
    double at[BANDS * LENGTH];
} mat;

#define ALLOCATE(out, count) ((void)(out))

static inline space child(const space *parent)
{
    return *parent;
}

static inline void replace(vec *held, vec new_one)
{
    *held = new_one;
}

#define settle replace

#else

typedef struct vec {
#ifndef LENGTH
    size_t length;
#endif
    double *at;
} vec;
typedef struct mat {
#ifndef LENGTH
    size_t length;
#endif
    double *at;
} mat;

#ifdef SPACE_ARENA

#include <highwater.h>

typedef hw_cursor space;

#define ALLOCATE(out, count) result.at = HIGHWATER_ARRAY(out, double, count)

static inline space child(const space *parent)
{
    return hw_push(*parent);
}

static inline void replace(vec *held, vec new_one)
{
    *held = new_one;
}

/* Copies the value out of the child, which ends. */
static inline void settle(vec *held, vec new_one)
{
    memcpy(held->at, new_one.at, LENGTH_OF(held) * sizeof(double));
}

#else

typedef struct space {
    char none;
} space;

static inline double *allocate(size_t count)
{
    double *at = (double *)malloc(count * sizeof(double));
    if (at == NULL) {
        abort();
    }
    return at;
}

static inline void free_vec(vec *v)
{
    free(v->at);
}

static inline void free_mat(mat *m)
{
    free(m->at);
}

#define OWNED_vec __attribute__((cleanup(free_vec))) vec
#define OWNED_mat __attribute__((cleanup(free_mat))) mat
#define ALLOCATE(out, count) ((void)(out), result.at = allocate(count))

static inline space child(const space *parent)
{
    return *parent;
}

static inline void replace(vec *held, vec new_one)
{
    free(held->at);
    *held = new_one;
}

#define settle replace

#endif
#endif

#ifndef OWNED_vec
#define OWNED_vec vec
#define OWNED_mat mat
#endif
#define OWNED(type) OWNED_##type

#endif
