/* The peer of `benches/guards.rs` that is compiled with -fsanitize=address: allocates blocks, writes all of them,
 * frees them in order. Arguments: blocks, bytes of each, passes, "wall" or "cpu". Prints the nanoseconds that a
 * block took to place and write, and to free. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **arguments) {
    if (count != 5)
        return 2;
    size_t blocks = strtoul(arguments[1], NULL, 10);
    size_t bytes = strtoul(arguments[2], NULL, 10);
    size_t passes = strtoul(arguments[3], NULL, 10);
    clockid_t clock = strcmp(arguments[4], "cpu") ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    char **block = malloc(blocks * sizeof *block);
    double place = 0, back = 0;
    /* The first pass warms up and is not counted. */
    for (size_t pass = 0; pass <= passes; pass++) {
        double start = now(clock);
        for (size_t i = 0; i < blocks; i++) {
            block[i] = malloc(bytes);
            if (!block[i])
                return 1;
            memset(block[i], (int)i, bytes);
            /* The bytes are looked at, for all that the compiler knows. */
            __asm__ volatile("" : : "r"(block[i]) : "memory");
        }
        double written = now(clock);
        for (size_t i = 0; i < blocks; i++)
            free(block[i]);
        double freed = now(clock);
        if (pass > 0) {
            place += written - start;
            back += freed - written;
        }
    }
    free(block);
    printf("%f %f\n", place / (passes * blocks), back / (passes * blocks));
    return 0;
}
