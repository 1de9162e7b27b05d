/* Runge-Kutta with vectors and matrices of fixed length on the stack: for the lengths below and no others. */
#include "rk4.h"

#define LENGTH 2
#include "stack_of_length.h"
#define LENGTH 4
#include "stack_of_length.h"
#define LENGTH 8
#include "stack_of_length.h"
#define LENGTH 16
#include "stack_of_length.h"
#define LENGTH 32
#include "stack_of_length.h"
#define LENGTH 64
#include "stack_of_length.h"

bool rk4_stack(const problem *p, double *end)
{
    switch (p->length) {
    case 2:
        run_2(p, end);
        return true;
    case 4:
        run_4(p, end);
        return true;
    case 8:
        run_8(p, end);
        return true;
    case 16:
        run_16(p, end);
        return true;
    case 32:
        run_32(p, end);
        return true;
    case 64:
        run_64(p, end);
        return true;
    default:
        return false;
    }
}
