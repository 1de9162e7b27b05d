/* Runge-Kutta with vectors and matrices that are returned from an arena.
 *
 * A function that computes something takes `out`, a pointer to the cursor that its result comes from, and, where it
 * needs temporaries, `scratch`, a cursor by value: it is the function's own copy, and returning forgets it with all
 * that was allocated through it. Nothing is freed by name. The two are in different arenas, so that a result may be
 * allocated while there are temporaries; a caller gives its own scratch as `out` and what lies on top of its own
 * `out` as scratch. */
#include "rk4.h"

#include <highwater.h>

typedef struct vec {
    size_t length;
    double *at;
} vec;

typedef struct mat {
    size_t rows, columns;
    double *at;
} mat;

static vec new_v(hw_cursor *out, size_t length)
{
    vec made = {length, HIGHWATER_ARRAY(out, double, length)};
    return made;
}

static mat new_m(hw_cursor *out, size_t rows, size_t columns)
{
    mat made = {rows, columns, HIGHWATER_ARRAY(out, double, rows *columns)};
    return made;
}

static vec add_vv(hw_cursor *out, vec a, vec b)
{
    vec sum = new_v(out, a.length);
    add_into(a.length, sum.at, a.at, b.at);
    return sum;
}

static vec mul_vs(hw_cursor *out, vec a, double by)
{
    vec product = new_v(out, a.length);
    scale_into(a.length, product.at, a.at, by);
    return product;
}

static vec mul_mv(hw_cursor *out, mat m, vec v)
{
    vec product = new_v(out, m.rows);
    apply_into(m.rows, m.columns, product.at, m.at, v.at);
    return product;
}

static mat copy_m(hw_cursor *out, size_t rows, size_t columns, const double *from)
{
    mat copy = new_m(out, rows, columns);
    copy_into(rows * columns, copy.at, from);
    return copy;
}

static vec get_col(hw_cursor *out, mat m, size_t column)
{
    vec copy = new_v(out, m.rows);
    copy_into(m.rows, copy.at, m.at + column * m.rows);
    return copy;
}

/* The matrix with another column: a new one. */
static mat set_col(hw_cursor *out, mat m, size_t column, vec v)
{
    mat changed = copy_m(out, m.rows, m.columns, m.at);
    copy_into(m.rows, changed.at + column * m.rows, v.at);
    return changed;
}

/* One step of one state. */
static vec step_v(hw_cursor *out, hw_cursor scratch, mat system, vec y, double h)
{
    vec k1 = mul_mv(&scratch, system, y);
    vec k2 = mul_mv(&scratch, system, add_vv(&scratch, y, mul_vs(&scratch, k1, h / 2)));
    vec k3 = mul_mv(&scratch, system, add_vv(&scratch, y, mul_vs(&scratch, k2, h / 2)));
    vec k4 = mul_mv(&scratch, system, add_vv(&scratch, y, mul_vs(&scratch, k3, h)));
    vec middle = mul_vs(&scratch, add_vv(&scratch, k2, k3), 2);
    vec sum = add_vv(&scratch, add_vv(&scratch, k1, middle), k4);
    return add_vv(out, y, mul_vs(&scratch, sum, h / 6));
}

/* One step of all of them. */
static mat step_m(hw_cursor *out, hw_cursor scratch, mat system, mat states, double h)
{
    for (size_t j = 0; j < states.columns; ++j) {
        vec y = get_col(&scratch, states, j);
        states = set_col(&scratch, states, j, step_v(&scratch, hw_push(*out), system, y, h));
    }
    return copy_m(out, states.rows, states.columns, states.at);
}

void rk4_arena(const problem *p, double *end)
{
    hw_arena *one = hw_arena_new(NULL), *other = hw_arena_new(NULL);
    hw_cursor results = hw_arena_cursor(one), scratch = hw_arena_cursor(other);
    mat system = copy_m(&results, p->length, p->length, p->system);
    mat states = copy_m(&results, p->length, COLUMNS, p->start);
    for (size_t i = 0; i < p->steps; ++i) {
        /* What a step returns moves down to where the states are, so that the steps need not pile up. */
        hw_cursor above = hw_push(results);
        mat next = step_m(&above, hw_push(scratch), system, states, p->time_step);
        copy_into(next.rows * next.columns, states.at, next.at);
    }
    copy_into(states.rows * states.columns, end, states.at);
    hw_arena_free(other);
    hw_arena_free(one);
}
