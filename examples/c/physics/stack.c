/* A step of the physics engine with arrays of fixed length on the stack: what does not fit cannot be done. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct forces {
    vec2 at[MAX_BODIES];
} forces;

typedef struct cells {
    member *first[MAX_CELLS];
    member members[MAX_BODIES];
} cells;

typedef struct contacts {
    contact *first;
    size_t count;
    contact at[MAX_CONTACTS];
} contacts;

/* For each cell the list of the discs in it. */
static void sort_into_cells(cells *out, const world *w)
{
    for (size_t i = 0; i < w->columns * w->rows; ++i) {
        out->first[i] = NULL;
    }
    for (size_t i = 0; i < w->body_count; ++i) {
        member **cell = &out->first[cell_of(w, &w->bodies[i])];
        member *made = &out->members[i];
        made->body = i;
        made->next = *cell;
        *cell = made;
    }
}

/* The contacts of a disc with those that follow it in a list, in front of those there are. */
static void find_with(contacts *out, const world *w, size_t disc, const member *others)
{
    for (const member *other = others; other != NULL; other = other->next) {
        if (touch(w, disc, other->body)) {
            contact *made = &out->at[out->count];
            if (out->count == MAX_CONTACTS) {
                fprintf(stderr, "more than %d contacts\n", MAX_CONTACTS);
                abort();
            }
            ++out->count;
            made->a = disc;
            made->b = other->body;
            made->next = out->first;
            out->first = made;
        }
    }
}

static void find_contacts(contacts *out, const world *w, const cells *in)
{
    out->first = NULL;
    out->count = 0;
    for (size_t row = 0; row < w->rows; ++row) {
        for (size_t column = 0; column < w->columns; ++column) {
            member *const *cell = &in->first[row * w->columns + column];
            for (const member *one = *cell; one != NULL; one = one->next) {
                /* Each pair of cells once: the rest of this one, right, and the three above. */
                find_with(out, w, one->body, one->next);
                if (column + 1 < w->columns) {
                    find_with(out, w, one->body, cell[1]);
                }
                for (size_t i = column == 0 ? 1 : 0; row + 1 < w->rows && i < 3 && column + i <= w->columns; ++i) {
                    find_with(out, w, one->body, cell[w->columns + i - 1]);
                }
            }
        }
    }
}

static void step(world *w)
{
    forces f;
    cells sorted;
    contacts found;
    sum_forces(w, f.at);
    move(w, f.at);
    sort_into_cells(&sorted, w);
    find_contacts(&found, w, &sorted);
    solve(w, found.first);
    for (const contact *c = found.first; c != NULL; c = c->next) {
        ++w->contact_count;
    }
}

bool physics_stack(world *w, size_t steps)
{
    if (w->body_count > MAX_BODIES || w->columns * w->rows > MAX_CELLS) {
        return false;
    }
    for (size_t i = 0; i < steps; ++i) {
        step(w);
    }
    return true;
}
