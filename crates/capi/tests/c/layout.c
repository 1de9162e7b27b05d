/* Prints what the header's types look like, for the library's side to compare. */
#include "check.h"

#define SIZE(type) printf("sizeof %s %zu %zu\n", #type, sizeof(type), HIGHWATER_ALIGNOF_(type))
#define FIELD(type, field) printf("offsetof %s.%s %zu %zu\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field))
#define VALUE(name) printf("value %s %llu\n", #name, (unsigned long long)(name))

static void layout(void)
{
    SIZE(hw_cursor);
    FIELD(hw_cursor, position);
    FIELD(hw_cursor, limit);
    SIZE(hw_error);
    FIELD(hw_error, status);
    FIELD(hw_error, cause);
    FIELD(hw_error, system_error);
    FIELD(hw_error, reserved_);
    FIELD(hw_error, requested);
    FIELD(hw_error, used);
    FIELD(hw_error, limit);
    FIELD(hw_error, message);
    SIZE(hw_refusal);
    FIELD(hw_refusal, size);
    FIELD(hw_refusal, name);
    FIELD(hw_refusal, arena);
    FIELD(hw_refusal, cause);
    FIELD(hw_refusal, system_error);
    FIELD(hw_refusal, requested);
    FIELD(hw_refusal, used);
    FIELD(hw_refusal, committed);
    FIELD(hw_refusal, reserved);
    FIELD(hw_refusal, limit);
    SIZE(hw_range);
    FIELD(hw_range, start);
    FIELD(hw_range, end);
    SIZE(hw_options);
    FIELD(hw_options, size);
    FIELD(hw_options, name);
    FIELD(hw_options, reserve);
    FIELD(hw_options, head);
    FIELD(hw_options, limit);
    FIELD(hw_options, growth);
    FIELD(hw_options, populate);
    FIELD(hw_options, growth_first);
    FIELD(hw_options, growth_max);
    FIELD(hw_options, growth_seed);
    FIELD(hw_options, huge_pages);
    FIELD(hw_options, guard_mechanism);
    FIELD(hw_options, guard_before);
    FIELD(hw_options, guard_after);
    FIELD(hw_options, guard_reach);
    FIELD(hw_options, guards);
    FIELD(hw_options, guard_count);
    FIELD(hw_options, on_violation);
    FIELD(hw_options, violation_format);
    FIELD(hw_options, headroom);
    FIELD(hw_options, backing_directory);
    FIELD(hw_options, on_refusal);
    FIELD(hw_options, reserved_);
    FIELD(hw_options, spill_directory);
    FIELD(hw_options, refusal_hook);
    FIELD(hw_options, refusal_user);
    FIELD(hw_options, engine);
    FIELD(hw_options, reserved_2_);
    SIZE(hw_stats);
    FIELD(hw_stats, size);
    FIELD(hw_stats, reserved);
    FIELD(hw_stats, committed);
    FIELD(hw_stats, peak_committed);
    FIELD(hw_stats, used);
    FIELD(hw_stats, faults);
    FIELD(hw_stats, commits);
    FIELD(hw_stats, populated);
    FIELD(hw_stats, growth_ns);
    FIELD(hw_stats, engine);
    FIELD(hw_stats, reserved_);
    SIZE(hw_violation);
    FIELD(hw_violation, size);
    FIELD(hw_violation, name);
    FIELD(hw_violation, arena);
    FIELD(hw_violation, kind);
    FIELD(hw_violation, access);
    FIELD(hw_violation, address);
    FIELD(hw_violation, offset);
    FIELD(hw_violation, distance);
    FIELD(hw_violation, program_counter);
    FIELD(hw_violation, thread);
    FIELD(hw_violation, reserved_);
    typedef HIGHWATER_VEC(int) vec;
    SIZE(vec);
    FIELD(vec, data);
    FIELD(vec, length);
    FIELD(vec, capacity);
    FIELD(vec, arena);
    SIZE(hw_monitor);
    SIZE(hw_status);
    SIZE(hw_refusal_hook);

    VALUE(HIGHWATER_OK);
    VALUE(HIGHWATER_ERROR_MEMORY);
    VALUE(HIGHWATER_ERROR_ARGUMENT);
    VALUE(HIGHWATER_ERROR_OPTIONS);
    VALUE(HIGHWATER_ERROR_GUARD);
    VALUE(HIGHWATER_ERROR_SYSTEM);
    VALUE(HIGHWATER_ERROR_INTERNAL);
    VALUE(HIGHWATER_NONE);
    VALUE(HIGHWATER_PHYSICAL);
    VALUE(HIGHWATER_MIN_ALIGN);
}

/* A constant's name, and the library's for its number. */
#define CAUSE(name) printf("%s %s\n", #name, hw_cause_name(HIGHWATER_CAUSE_##name))
#define KIND(name) printf("%s %s\n", #name, hw_violation_name(HIGHWATER_VIOLATION_##name))

static void names(void)
{
    CAUSE(NONE);
    CAUSE(RESERVATION_EXHAUSTED);
    CAUSE(REGION_LIMIT);
    CAUSE(PROCESS_LIMIT);
    CAUSE(ADDRESS_SPACE);
    CAUSE(CGROUP_LIMIT);
    CAUSE(SYSTEM_MEMORY);
    CAUSE(RLIMIT_DATA);
    CAUSE(RLIMIT_AS);
    CAUSE(OVERCOMMIT);
    CAUSE(MAP_COUNT);
    CAUSE(LOCKED_LIMIT);
    CAUSE(DISK_FULL);
    CAUSE(HUGE_PAGES);
    CAUSE(NOT_INHERITED);
    CAUSE(INJECTED);
    CAUSE(KERNEL);
    CAUSE(ALLOCATOR);
    KIND(NONE);
    KIND(OVERFLOW);
    KIND(UNDERFLOW);
    KIND(USE_AFTER_RESET);
    KIND(UNALLOCATED);
    KIND(BEYOND_REACH);
    KIND(END_OF_RESERVATION);
    KIND(BEFORE_HEAD);
    KIND(PLACED_GUARD);
}

static const struct test_case cases[] = {{"layout", layout}, {"names", names}};
MAIN(cases)
