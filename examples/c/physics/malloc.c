/* A step of the physics engine with malloc, in the manner of RAII: every list has an owner, who frees what is in it. */
#include "world.h"

#include <stdlib.h>

static void *allocate(size_t count, size_t size)
{
    void *made = malloc(count * size);
    if (made == NULL) {
        abort();
    }
    return made;
}

static vec2 *forces_of(const world *w)
{
    vec2 *forces = (vec2 *)allocate(w->body_count, sizeof(vec2));
    sum_forces(w, forces);
    return forces;
}

/* For each cell the list of the discs in it. */
static member **sort_into_cells(const world *w)
{
    size_t count = w->columns * w->rows;
    member **cells = (member **)allocate(count, sizeof(member *));
    for (size_t i = 0; i < count; ++i) {
        cells[i] = NULL;
    }
    for (size_t i = 0; i < w->body_count; ++i) {
        member **cell = &cells[cell_of(w, &w->bodies[i])];
        member *made = (member *)allocate(1, sizeof(member));
        made->body = i;
        made->next = *cell;
        *cell = made;
    }
    return cells;
}

static void free_cells(const world *w, member **cells)
{
    for (size_t i = 0; i < w->columns * w->rows; ++i) {
        for (member *one = cells[i], *next; one != NULL; one = next) {
            next = one->next;
            free(one);
        }
    }
    free(cells);
}

/* The contacts of a disc with those that follow it in a list, in front of those there are. */
static contact *find_with(const world *w, size_t disc, const member *others, contact *contacts)
{
    for (const member *other = others; other != NULL; other = other->next) {
        if (touch(w, disc, other->body)) {
            contact *made = (contact *)allocate(1, sizeof(contact));
            made->a = disc;
            made->b = other->body;
            made->next = contacts;
            contacts = made;
        }
    }
    return contacts;
}

static contact *find_contacts(const world *w, member *const *cells)
{
    contact *contacts = NULL;
    for (size_t row = 0; row < w->rows; ++row) {
        for (size_t column = 0; column < w->columns; ++column) {
            member *const *cell = &cells[row * w->columns + column];
            for (const member *one = *cell; one != NULL; one = one->next) {
                /* Each pair of cells once: the rest of this one, right, and the three above. */
                contacts = find_with(w, one->body, one->next, contacts);
                if (column + 1 < w->columns) {
                    contacts = find_with(w, one->body, cell[1], contacts);
                }
                for (size_t i = column == 0 ? 1 : 0; row + 1 < w->rows && i < 3 && column + i <= w->columns; ++i) {
                    contacts = find_with(w, one->body, cell[w->columns + i - 1], contacts);
                }
            }
        }
    }
    return contacts;
}

static void free_contacts(contact *contacts)
{
    for (contact *next; contacts != NULL; contacts = next) {
        next = contacts->next;
        free(contacts);
    }
}

static void step(world *w)
{
    vec2 *forces = forces_of(w);
    member **cells;
    contact *contacts;
    move(w, forces);
    cells = sort_into_cells(w);
    contacts = find_contacts(w, cells);
    solve(w, contacts);
    for (const contact *c = contacts; c != NULL; c = c->next) {
        ++w->contact_count;
    }
    free_contacts(contacts);
    free_cells(w, cells);
    free(forces);
}

void physics_malloc(world *w, size_t steps)
{
    for (size_t i = 0; i < steps; ++i) {
        step(w);
    }
}
