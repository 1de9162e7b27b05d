/* What the allocator must not do to its process: handlers, threads, memory that was not touched, calls to the system that
 * a sandbox does not know. */
#include "check.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void allocate(uint64_t seed, int steps)
{
    char *blocks[100] = {0};
    for (int step = 0; step < steps; ++step) {
        size_t i = next_random(&seed) % COUNT(blocks), bytes = 1 + next_random(&seed) % (step % 40 == 0 ? MIB : 2000);
        if (blocks[i] != NULL) {
            CHECK(blocks[i][0] == (char)i);
        }
        blocks[i] = (char *)realloc(blocks[i], size(bytes));
        CHECK(blocks[i] != NULL);
        blocks[i][bytes - 1] = blocks[i][0] = (char)i;
    }
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        free(blocks[i]);
    }
}

/* The signals that the parent ignores, a bit each: they are ignored in its children as well (`nohup` does that). */
static unsigned long long ignored_in_parent(void)
{
    char path[64], line[256];
    unsigned long long ignored = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)getppid());
    FILE *status = fopen(path, "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "SigIgn: %llx", &ignored);
    }
    if (status != NULL) {
        fclose(status);
    }
    return ignored;
}

/* Signals are as they were, and there is no stack for them. */
static void signals(void)
{
    unsigned long long ignored = ignored_in_parent() | 1ULL << (SIGPIPE - 1);
    allocate(1, 5000);
    for (int number = 1; number < 32; ++number) {
        struct sigaction action;
        CHECK(sigaction(number, NULL, &action) == 0);
        CHECK(action.sa_handler == SIG_DFL || (action.sa_handler == SIG_IGN && (ignored >> (number - 1) & 1)));
    }
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    for (int number = 1; number < 32; ++number) {
        CHECK(!sigismember(&mask, number));
    }
    stack_t stack;
    CHECK(sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE));
}

/* A program that catches its own faults, as those do that have a collector. */
static char *page;
static _Atomic int faults;

static void serve(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    if (info->si_addr != page || mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0) {
        _exit(9);
    }
    ++faults;
}

static void own_handler(void)
{
    struct sigaction action = { .sa_sigaction = serve, .sa_flags = SA_SIGINFO };
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    page = (char *)memalign(4096, 4096);
    CHECK(page != NULL);
    for (int i = 1; i <= 20; ++i) {
        CHECK(mprotect(page, 4096, PROT_NONE) == 0);
        allocate((uint64_t)i, 300);
        *page = (char)i;
        CHECK(faults == i && *page == (char)i);
    }
    free(page);
    struct sigaction after;
    CHECK(sigaction(SIGSEGV, NULL, &after) == 0 && after.sa_sigaction == serve);
}

static void threads(void)
{
    allocate(1, 5000);
    malloc_trim(0);
    FILE *status = fopen("/proc/self/status", "r");
    char line[200];
    int count = 0;
    while (fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "Threads: %d", &count);
    }
    fclose(status);
    CHECK(count == 1);
}

/* Memory that was never touched is not there. */
static void untouched(void)
{
    size_t before = statm(1);
    char *blocks[3] = { (char *)malloc(700 * MIB), (char *)calloc(1, 700 * MIB), (char *)calloc(7 * MIB, 100) };
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        CHECK(blocks[i] != NULL);
        blocks[i][350 * MIB] = 1;
    }
    CHECK(statm(1) < before + 128 * MIB);
    for (size_t i = 0; i < COUNT(blocks); ++i) {
        blocks[i] = (char *)realloc(blocks[i], 900 * MIB);
        CHECK(blocks[i] != NULL && blocks[i][350 * MIB] == 1);
        blocks[i] = (char *)realloc(blocks[i], 100);
        CHECK(blocks[i] != NULL);
        free(blocks[i]);
    }
}

/* All memory is locked, what is there and what is to come; reserved addresses are no memory. */
static void locked(void)
{
    allocate(1, 1000);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        puts("memory cannot be locked here");
        return;
    }
    allocate(2, 3000);
    char *block = (char *)malloc(20 * MIB);
    CHECK(block != NULL);
    block[19 * MIB] = 1;
    free(block);
    /* Locked pages cannot be given back, and are not zero when they are used again. */
    for (int round = 0; round < 4; ++round) {
        static char *blocks[8];
        for (size_t i = 0; i < COUNT(blocks); ++i) {
            blocks[i] = (char *)calloc(MIB, 3);
            CHECK(blocks[i] != NULL && blocks[i][0] == 0 && memcmp(blocks[i], blocks[i] + 1, 3 * MIB - 1) == 0);
            memset(blocks[i], 0xff, 3 * MIB);
        }
        for (size_t i = 0; i < COUNT(blocks); ++i) {
            errno = 1234;
            free(blocks[i]);
            CHECK(errno == 1234);
        }
        malloc_trim(0);
    }
    CHECK(statm(1) < 500 * MIB);
    CHECK(munlockall() == 0);
}

/* From here on the process may do what an allocator needs, and no more: the rest fails, or is fatal. */
static void confine(unsigned rest)
{
    static const unsigned allowed[] = {
#ifdef SYS_brk
        SYS_brk,
#endif
        SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_futex, SYS_read, SYS_write, SYS_exit,
        /* (Growth notes which thread it was for.) */
        SYS_gettid, SYS_exit_group, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_clock_gettime, SYS_getpid, SYS_sched_yield, SYS_getrandom,
    };
    static struct sock_filter filter[COUNT(allowed) + 4];
    size_t at = 0;
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNT(allowed); ++i) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (unsigned char)(COUNT(allowed) - i), 0);
    }
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, rest);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { (unsigned short)at, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        static const char words[] = "system calls cannot be filtered here\n";
        CHECK(write(1, words, sizeof words - 1) > 0);
        _exit(0);
    }
}

static void *started_before(void *go)
{
    while (!atomic_load((_Atomic bool *)go)) {
        __asm__ volatile("" : : : "memory");
    }
    allocate(3, 2000);
    return NULL;
}

static void in_a_sandbox(unsigned rest)
{
    static _Atomic bool go;
    pthread_t thread;
    free(malloc(1));
    CHECK(pthread_create(&thread, NULL, started_before, (void *)&go) == 0);
    confine(rest);
    allocate(1, 5000);
    char *block = (char *)malloc(100 * MIB);
    CHECK(block != NULL);
    memset(block, 1, 100 * MIB);
    free(block);
    malloc_trim(0);
    allocate(2, 5000);
    go = true;
    /* The thread was there before, and is not in the sandbox. */
    CHECK(pthread_join(thread, NULL) == 0);
    _exit(0);
}

static void sandbox_refuses(void)
{
    in_a_sandbox(SECCOMP_RET_ERRNO | EPERM);
}

static void sandbox_kills(void)
{
    in_a_sandbox(SECCOMP_RET_KILL_PROCESS);
}

static const struct test_case CASES[] = {
    { "signals", signals },
    { "own handler", own_handler },
    { "threads", threads },
    { "untouched", untouched },
    { "locked", locked },
    { "sandbox refuses", sandbox_refuses },
    { "sandbox kills", sandbox_kills },
};

MAIN(CASES)
