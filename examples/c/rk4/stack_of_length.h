/* The variant on the stack for one length, LENGTH: included once for each. Vectors and matrices are values that are
 * passed and returned as such; the matrix of the system is the one that is too large for that. */

#define JOIN_(name, length) name##_##length
#define JOIN(name, length) JOIN_(name, length)
#define vec JOIN(vec, LENGTH)
#define mat JOIN(mat, LENGTH)
#define square JOIN(square, LENGTH)
#define add_vv JOIN(add_vv, LENGTH)
#define mul_vs JOIN(mul_vs, LENGTH)
#define mul_mv JOIN(mul_mv, LENGTH)
#define get_col JOIN(get_col, LENGTH)
#define set_col JOIN(set_col, LENGTH)
#define step_v JOIN(step_v, LENGTH)
#define step_m JOIN(step_m, LENGTH)
#define run JOIN(run, LENGTH)

typedef struct vec {
    double at[LENGTH];
} vec;

typedef struct mat {
    double at[LENGTH * COLUMNS];
} mat;

typedef struct square {
    double at[LENGTH * LENGTH];
} square;

static vec add_vv(vec a, vec b)
{
    vec sum;
    add_into(LENGTH, sum.at, a.at, b.at);
    return sum;
}

static vec mul_vs(vec a, double by)
{
    vec product;
    scale_into(LENGTH, product.at, a.at, by);
    return product;
}

static vec mul_mv(const square *m, vec v)
{
    vec product;
    apply_into(LENGTH, LENGTH, product.at, m->at, v.at);
    return product;
}

static vec get_col(mat m, size_t column)
{
    vec copy;
    copy_into(LENGTH, copy.at, m.at + column * LENGTH);
    return copy;
}

/* The matrix with another column: a new one. */
static mat set_col(mat m, size_t column, vec v)
{
    copy_into(LENGTH, m.at + column * LENGTH, v.at);
    return m;
}

/* One step of one state. */
static vec step_v(const square *system, vec y, double h)
{
    vec k1 = mul_mv(system, y);
    vec k2 = mul_mv(system, add_vv(y, mul_vs(k1, h / 2)));
    vec k3 = mul_mv(system, add_vv(y, mul_vs(k2, h / 2)));
    vec k4 = mul_mv(system, add_vv(y, mul_vs(k3, h)));
    vec middle = mul_vs(add_vv(k2, k3), 2);
    vec sum = add_vv(add_vv(k1, middle), k4);
    return add_vv(y, mul_vs(sum, h / 6));
}

/* One step of all of them. */
static mat step_m(const square *system, mat states, double h)
{
    for (size_t j = 0; j < COLUMNS; ++j) {
        vec y = get_col(states, j);
        states = set_col(states, j, step_v(system, y, h));
    }
    return states;
}

static void run(const problem *p, double *end)
{
    square system;
    mat states;
    copy_into(LENGTH * LENGTH, system.at, p->system);
    copy_into(LENGTH * COLUMNS, states.at, p->start);
    for (size_t i = 0; i < p->steps; ++i) {
        states = step_m(&system, states, p->time_step);
    }
    copy_into(LENGTH * COLUMNS, end, states.at);
}

#undef JOIN_
#undef JOIN
#undef vec
#undef mat
#undef square
#undef add_vv
#undef mul_vs
#undef mul_mv
#undef get_col
#undef set_col
#undef step_v
#undef step_m
#undef run
#undef LENGTH
