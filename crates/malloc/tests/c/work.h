/* A program's everyday use of its allocator, and children that end well. */
#ifndef WORK_H
#define WORK_H

#include "check.h"

#include <sys/wait.h>

/* Makes and frees blocks of many sizes, so many times. */
__attribute__((unused)) static void allocate(uint64_t seed, int steps)
{
    char *blocks[40] = {0};
    size_t bytes[40];
    for (int step = 0; step < steps; ++step) {
        size_t i = next_random(&seed) % COUNT(blocks);
        if (blocks[i] != NULL) {
            CHECK(blocks[i][0] == (char)i && blocks[i][bytes[i] - 1] == (char)i);
            free(blocks[i]);
            blocks[i] = NULL;
        } else {
            bytes[i] = 2 + next_random(&seed) % (step % 50 == 0 ? 400000 : step % 7 == 0 ? 20000 : 600);
            blocks[i] = (char *)malloc(size(bytes[i]));
            CHECK(blocks[i] != NULL);
            blocks[i][0] = blocks[i][bytes[i] - 1] = (char)i;
        }
    }
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        free(blocks[i]);
    }
}

/* Waits for a child that ends as it should. */
__attribute__((unused)) static void succeeded(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "a child ended with status %#x\n", status);
        _exit(1);
    }
}

#endif
