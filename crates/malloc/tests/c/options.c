/* Programs whose allocator is told something by the environment. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* 24 MiB live at once, half of them at the end. */
static void peak(void)
{
    char *blocks[24];
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        blocks[i] = (char *)malloc(MIB);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, MIB);
    }
    for (size_t i = COUNT(blocks); i > COUNT(blocks) / 2; --i) {
        free(blocks[i - 1]);
    }
    puts("done");
}

static void children(void)
{
    for (int i = 0; i < 3; ++i) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            peak();
            exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    free(malloc(100));
}

static void killed(void)
{
    peak();
    fflush(stdout);
    raise(SIGKILL);
}

/* Prints the largest power of two that all blocks are aligned to. */
static void alignment(void)
{
    uintptr_t all = 0;
    for (size_t bytes = 1; bytes < 3000; bytes += 7) {
        all |= (uintptr_t)malloc(size(bytes));
    }
    printf("%zu\n", (size_t)(all & -all));
}

/* Prints how far apart two blocks of 8 bytes lie. */
static void distance(void)
{
    free(malloc(1));
    char *first = (char *)malloc(size(8)), *second = (char *)malloc(size(8));
    printf("%td\n", second > first ? second - first : first - second);
}

static void refused(void)
{
    errno = 0;
    CHECK(malloc(size(100 * MIB)) == NULL && errno == ENOMEM);
    CHECK(malloc(size(200 * MIB)) == NULL);
    free(malloc(100));
    puts("refused");
}

/* Descriptor 2 is a file of the program's own in the end. */
static void other_file(void)
{
    free(malloc(100000));
    CHECK(close(2) == 0);
    int file = open(getenv("TEST_FILE"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file != 2 || write(file, "own text", 8) != 8) {
        _exit(3);
    }
}

static const struct test_case CASES[] = {
    { "peak", peak },
    { "children", children },
    { "killed", killed },
    { "alignment", alignment },
    { "distance", distance },
    { "refused", refused },
    { "other file", other_file },
};

MAIN(CASES)
