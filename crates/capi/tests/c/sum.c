/* What the compiler makes of an allocation; see tests/codegen.rs. The cursor comes from a call that it cannot see into. */
#include <highwater.h>

hw_arena *the_arena(void);
int two_numbers(void);
int two_numbers_of_malloc(void);
void *of_any_size(hw_cursor *cursor, size_t size);
int through_a_copy(hw_cursor cursor);

#include <stdlib.h>

int two_numbers(void)
{
    hw_cursor cursor = hw_arena_cursor(the_arena());
    int *one = HIGHWATER_NEW(&cursor, int), *three = HIGHWATER_NEW(&cursor, int);
    *one = 1;
    *three = 3;
    return *one + *three;
}

/* Its memory is used by somebody, or the compiler would drop it. */
void keep(int *one, int *three);

int two_numbers_of_malloc(void)
{
    int *one = (int *)malloc(sizeof(int)), *three = (int *)malloc(sizeof(int));
    if (one == NULL || three == NULL) {
        abort();
    }
    *one = 1;
    *three = 3;
    keep(one, three);
    return *one + *three;
}

int through_a_copy(hw_cursor cursor)
{
    hw_cursor scratch = hw_push(cursor);
    int *one = HIGHWATER_NEW(&scratch, int), *three = HIGHWATER_NEW(&scratch, int);
    *one = 1;
    *three = 3;
    return *one + *three;
}

void *of_any_size(hw_cursor *cursor, size_t size)
{
    return hw_alloc(cursor, size);
}
