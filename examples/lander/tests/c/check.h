#ifndef LANDER_CHECK_H
#define LANDER_CHECK_H

#include <math.h>
#include <stdio.h>

/* A test is a function that returns; CHECK says what went wrong and goes on. */

struct test {
    const char *name;
    void (*run)(void);
};

extern int check_failures;

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            printf("    %s:%d: not true: %s\n", __FILE__, __LINE__, #condition);         \
            check_failures++;                                                            \
        }                                                                                \
    } while (0)

#define CHECK_NEAR(actual, expected, within)                                             \
    do {                                                                                 \
        double check_actual = (actual), check_expected = (expected);                     \
        if (!(fabs(check_actual - check_expected) <= (within))) {                        \
            printf("    %s:%d: %s is %g, not %g\n", __FILE__, __LINE__, #actual,         \
                   check_actual, check_expected);                                        \
            check_failures++;                                                            \
        }                                                                                \
    } while (0)

/* Each file of tests ends with one such table, ended by a NULL name. */
extern const struct test physics_tests[];
extern const struct test gear_tests[];
extern const struct test terrain_tests[];
extern const struct test pilot_tests[];
extern const struct test flight_tests[];

/* A compiled terrain of these heights (m, 10 m apart) in a file of its own; its path. */
const char *make_terrain(const double *heights, int count);

#endif
