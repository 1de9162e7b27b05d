/* What a program does as a process: it forks, runs others, is interrupted, closes its files, and is limited. */
#include "work.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/time.h>
#include <sys/wait.h>

extern char **environ;

static _Atomic bool ended;

static void *until_the_end(void *seed)
{
    for (uint64_t round = 0; !ended; ++round) {
        allocate((uintptr_t)seed + round, 200);
        if (round % 64 == 0) {
            malloc_trim(0);
        }
        usleep(round % 64);
    }
    return NULL;
}

static pthread_t others[4];

static void start_others(void)
{
    ended = false;
    for (size_t i = 0; i < COUNT(others); ++i) {
        CHECK(pthread_create(&others[i], NULL, until_the_end, (void *)(i + 1)) == 0);
    }
}

static void stop_others(void)
{
    ended = true;
    for (size_t i = 0; i < COUNT(others); ++i) {
        CHECK(pthread_join(others[i], NULL) == 0);
    }
}

static void *in_a_thread(void *unused)
{
    allocate(77, 100);
    return unused;
}

/* What was made before a fork is whole in the child, can be freed there, and more can be made. */
static void storm(int forks)
{
    start_others();
    for (int i = 0; i < forks; ++i) {
        char *before[3] = { (char *)malloc(100), (char *)malloc(50000), (char *)malloc(500000) };
        memset(before[1], i, 50000);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            allocate((uint64_t)i + 1, 100);
            CHECK(before[1][0] == (char)i && before[1][49999] == (char)i);
            before[1] = (char *)realloc(before[1], 60000);
            CHECK(before[1] != NULL && before[1][49999] == (char)i);
            for (int j = 0; j < 3; ++j) {
                free(before[j]);
            }
            if (i % 8 == 0) {
                pthread_t thread;
                CHECK(pthread_create(&thread, NULL, in_a_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
            }
            if (i % 8 == 1) {
                pid_t grandchild = fork();
                CHECK(grandchild >= 0);
                if (grandchild == 0) {
                    allocate(9, 300);
                    _exit(0);
                }
                succeeded(grandchild);
            }
            if (i % 2 == 0) {
                exit(0);
            }
            _exit(0);
        }
        for (int j = 0; j < 3; ++j) {
            free(before[j]);
        }
        succeeded(child);
    }
    stop_others();
}

static void fork_gust(void)
{
    storm(60);
}

static void fork_storm(void)
{
    storm(300);
}

static void long_fork_storm(void)
{
    storm(5000);
}

/* Forks from several threads at once, and handlers of forks that allocate themselves. */
static void around_forks(void)
{
    allocate(3, 10);
}

static void *forks(void *unused)
{
    for (int i = 0; i < 40; ++i) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            allocate((uint64_t)i + 1, 100);
            _exit(0);
        }
        succeeded(child);
    }
    return unused;
}

static void forks_in_threads(void)
{
    CHECK(pthread_atfork(around_forks, around_forks, around_forks) == 0);
    allocate(1, 100);
    CHECK(pthread_atfork(around_forks, around_forks, around_forks) == 0);
    start_others();
    pthread_t threads[3];
    for (size_t i = 0; i < COUNT(threads); ++i) {
        CHECK(pthread_create(&threads[i], NULL, forks, NULL) == 0);
    }
    for (size_t i = 0; i < COUNT(threads); ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    stop_others();
}

/* Handlers that interrupt the allocator and only read. */
static _Atomic int interrupted;
static char *watched;

static void reads(int signal)
{
    (void)signal;
    int saved = errno;
    CHECK(watched[0] == 8 && watched[9999] == 8);
    ++interrupted;
    errno = saved;
}

static void *interrupts(void *thread)
{
    while (!ended) {
        CHECK(pthread_kill(*(pthread_t *)thread, SIGUSR1) == 0);
        usleep(20);
    }
    return NULL;
}

static void signals(void)
{
    watched = (char *)malloc(10000);
    memset(watched, 8, 10000);
    struct sigaction action = { .sa_handler = reads, .sa_flags = SA_RESTART };
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval often = { { 0, 200 }, { 0, 200 } };
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    pthread_t self = pthread_self(), thread;
    CHECK(pthread_create(&thread, NULL, interrupts, &self) == 0);
    for (int round = 1; round < 100 || (interrupted < 300 && round < 100000); ++round) {
        allocate((uint64_t)round, 500);
    }
    ended = true;
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(interrupted >= 300);
    /* On a stack of its own, which is small. */
    stack_t stack = { .ss_sp = malloc(16384), .ss_size = 16384 };
    CHECK(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0);
    action.sa_flags |= SA_ONSTACK;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (int round = 1; round < 50; ++round) {
        allocate((uint64_t)round, 500);
    }
    signal(SIGALRM, SIG_IGN);
}

/* A handler that interrupts the allocator, and forks or ends the process, as programs do that report their own faults. */
static _Atomic int forked;

static void forks_and_waits(int signal)
{
    (void)signal;
    int saved = errno, status;
    pid_t child = fork();
    if (child == 0) {
        _exit(5);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    CHECK(child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    ++forked;
    errno = saved;
}

static void interrupted_by(void (*handler)(int), long microseconds)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval often = { { 0, microseconds }, { 0, microseconds } };
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
}

static void forks_in_a_handler(void)
{
    interrupted_by(forks_and_waits, 300);
    for (uint64_t round = 1; forked < 200; ++round) {
        allocate(round, 200);
        free(malloc(3 * MIB));
    }
    signal(SIGALRM, SIG_IGN);
}

static void leaves(int signal)
{
    (void)signal;
    exit(0);
}

static void exits_in_a_handler(void)
{
    allocate(1, 1000);
    interrupted_by(leaves, 3000);
    for (uint64_t round = 1;; ++round) {
        allocate(round, 200);
        free(malloc(3 * MIB));
    }
}

/* What ends a program ends it as ever. */
static void dies_of_a_fault(void)
{
    allocate(1, 1000);
    *(volatile char *)hidden((void *)16) = 1;
}

static void aborts(void)
{
    allocate(1, 1000);
    abort();
}

static void others_run(void)
{
    start_others();
    for (int i = 0; i < 10; ++i) {
        char *const arguments[] = { (char *)"sh", (char *)"-c", (char *)"echo spawned $((1 + 1)) >/dev/null", NULL };
        pid_t child;
        CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0);
        succeeded(child);
        child = vfork();
        CHECK(child >= 0);
        if (child == 0) {
            execv("/bin/sh", arguments);
            _exit(127);
        }
        succeeded(child);
        CHECK(system("test \"$(echo water | sort)\" = water") == 0);
        FILE *pipe = popen("echo out of a pipe; cat /dev/null", "r");
        char line[100] = {0};
        CHECK(pipe != NULL && fgets(line, sizeof line, pipe) != NULL && strcmp(line, "out of a pipe\n") == 0);
        CHECK(pclose(pipe) == 0);
    }
    stop_others();
    char *const again[] = { (char *)"process", (char *)"nothing", NULL };
    execv("/proc/self/exe", again);
    CHECK(false);
}

static void nothing(void)
{
    allocate(5, 1000);
}

/* No descriptor is kept: what is opened first is the first that is free. */
static void descriptors(void)
{
    int first = open("/dev/null", O_RDONLY);
    CHECK(first == 3);
    start_others();
    allocate(2, 5000);
    stop_others();
    free(malloc(100 * MIB));
    CHECK(open("/dev/null", O_RDONLY) == 4);
    CHECK(close(3) == 0 && close(4) == 0);
    CHECK(open("/dev/null", O_RDONLY) == 3);
}

/* All are closed, also the standard ones, and their numbers are other files then. */
static void closes_all(void)
{
    free(malloc(1));
    for (int number = 0; number < 1024; ++number) {
        close(number);
    }
    allocate(1, 3000);
    int first = open("/dev/zero", O_RDWR), second = open("/dev/null", O_RDWR);
    if (first != 0 || second != 1) {
        _exit(3);
    }
    char *block = (char *)malloc(70 * MIB);
    if (block == NULL || read(first, block, 70 * MIB) != (ssize_t)(70 * MIB)) {
        _exit(4);
    }
    free(block);
    start_others();
    usleep(10000);
    stop_others();
}

static const struct test_case CASES[] = {
    { "fork gust", fork_gust },
    { "fork storm", fork_storm },
    { "long fork storm", long_fork_storm },
    { "forks in threads", forks_in_threads },
    { "signals", signals },
    { "forks in a handler", forks_in_a_handler },
    { "exits in a handler", exits_in_a_handler },
    { "dies of a fault", dies_of_a_fault },
    { "aborts", aborts },
    { "others run", others_run },
    { "nothing", nothing },
    { "descriptors", descriptors },
    { "closes all", closes_all },
};

MAIN(CASES)
