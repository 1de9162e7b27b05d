/* A library that allocates before the program begins and frees after it has ended. */
#include "check.h"

#include <pthread.h>

static char *blocks[50];
static int of_the_fork;

static void around_forks(void)
{
    void *block = malloc(500);
    CHECK(block != NULL);
    free(block);
    free(malloc(200000));
    ++of_the_fork;
}

__attribute__((constructor)) static void begin(void)
{
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        blocks[i] = (char *)malloc(size(i * 100 + 1));
        CHECK(blocks[i] != NULL && is_aligned(blocks[i], 16));
        memset(blocks[i], (int)i, i * 100 + 1);
    }
    blocks[0] = (char *)realloc(blocks[0], 100000);
    CHECK(blocks[0] != NULL && blocks[0][0] == 0);
    CHECK(pthread_atfork(around_forks, around_forks, around_forks) == 0);
}

/* For the program: whether what was made still is what it was. */
int early_blocks_are_whole(void)
{
    for (size_t i = 1; i < COUNT(blocks); ++i) {
        for (size_t j = 0; j < i * 100 + 1; ++j) {
            if (blocks[i][j] != (char)i) {
                return 0;
            }
        }
    }
    return 1;
}

int early_forks_seen(void)
{
    return of_the_fork;
}

__attribute__((destructor)) static void end(void)
{
    CHECK(early_blocks_are_whole());
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        free(blocks[i]);
    }
    char *late = (char *)malloc(3000000);
    CHECK(late != NULL);
    late[2999999] = 1;
    free(late);
}
