/* Runge-Kutta with vectors and matrices that are allocated with malloc, in the manner of RAII: a function returns a
 * value that its caller owns, every temporary has a name, and its owner frees it at the end of its scope. */
#include "rk4.h"

#include <stdlib.h>

typedef struct vec {
    size_t length;
    double *at;
} vec;

typedef struct mat {
    size_t rows, columns;
    double *at;
} mat;

static double *numbers(size_t count)
{
    double *at = (double *)malloc(count * sizeof(double));
    if (at == NULL) {
        abort();
    }
    return at;
}

static vec new_v(size_t length)
{
    vec made = {length, numbers(length)};
    return made;
}

static mat new_m(size_t rows, size_t columns)
{
    mat made = {rows, columns, numbers(rows * columns)};
    return made;
}

static void free_v(vec v)
{
    free(v.at);
}

static void free_m(mat m)
{
    free(m.at);
}

static vec add_vv(vec a, vec b)
{
    vec sum = new_v(a.length);
    add_into(a.length, sum.at, a.at, b.at);
    return sum;
}

static vec mul_vs(vec a, double by)
{
    vec product = new_v(a.length);
    scale_into(a.length, product.at, a.at, by);
    return product;
}

static vec mul_mv(mat m, vec v)
{
    vec product = new_v(m.rows);
    apply_into(m.rows, m.columns, product.at, m.at, v.at);
    return product;
}

static mat copy_m(size_t rows, size_t columns, const double *from)
{
    mat copy = new_m(rows, columns);
    copy_into(rows * columns, copy.at, from);
    return copy;
}

static vec get_col(mat m, size_t column)
{
    vec copy = new_v(m.rows);
    copy_into(m.rows, copy.at, m.at + column * m.rows);
    return copy;
}

/* The matrix with another column: a new one. */
static mat set_col(mat m, size_t column, vec v)
{
    mat changed = copy_m(m.rows, m.columns, m.at);
    copy_into(m.rows, changed.at + column * m.rows, v.at);
    return changed;
}

/* One step of one state. */
static vec step_v(mat system, vec y, double h)
{
    vec k1 = mul_mv(system, y);
    vec by1 = mul_vs(k1, h / 2), y1 = add_vv(y, by1), k2 = mul_mv(system, y1);
    vec by2 = mul_vs(k2, h / 2), y2 = add_vv(y, by2), k3 = mul_mv(system, y2);
    vec by3 = mul_vs(k3, h), y3 = add_vv(y, by3), k4 = mul_mv(system, y3);
    vec inner = add_vv(k2, k3), middle = mul_vs(inner, 2);
    vec first = add_vv(k1, middle), sum = add_vv(first, k4);
    vec by = mul_vs(sum, h / 6), next = add_vv(y, by);
    free_v(by);
    free_v(sum);
    free_v(first);
    free_v(middle);
    free_v(inner);
    free_v(k4);
    free_v(y3);
    free_v(by3);
    free_v(k3);
    free_v(y2);
    free_v(by2);
    free_v(k2);
    free_v(y1);
    free_v(by1);
    free_v(k1);
    return next;
}

/* One step of all of them. */
static mat step_m(mat system, mat states, double h)
{
    mat now = copy_m(states.rows, states.columns, states.at);
    for (size_t j = 0; j < states.columns; ++j) {
        vec y = get_col(now, j), next = step_v(system, y, h);
        mat changed = set_col(now, j, next);
        free_m(now);
        now = changed;
        free_v(next);
        free_v(y);
    }
    return now;
}

void rk4_malloc(const problem *p, double *end)
{
    mat system = copy_m(p->length, p->length, p->system);
    mat states = copy_m(p->length, COLUMNS, p->start);
    for (size_t i = 0; i < p->steps; ++i) {
        mat next = step_m(system, states, p->time_step);
        free_m(states);
        states = next;
    }
    copy_into(states.rows * states.columns, end, states.at);
    free_m(states);
    free_m(system);
}
