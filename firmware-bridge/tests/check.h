/* The smallest test frame: a test is a function, a failure says where, and the program's exit code and last line say how many. Runs on the
 * build machine and, over semihosting, on the target. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

enum { CHECK_PRINTED = 20 };
static int check_failures;
static int check_tests;
static const char *check_name;

#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition) && check_failures++ < CHECK_PRINTED) {                              \
            printf("FAILED %s, %s:%d: %s\n", check_name, __FILE__, __LINE__, #condition);    \
        }                                                                                    \
    } while (0)

#define CHECK_EQUAL(seen, wanted)                                                                                   \
    do {                                                                                                            \
        unsigned long check_seen = (unsigned long)(seen), check_wanted = (unsigned long)(wanted);                   \
        if (check_seen != check_wanted && check_failures++ < CHECK_PRINTED) {                                       \
            printf("FAILED %s, %s:%d: %s is %lu, not %lu\n", check_name, __FILE__, __LINE__, #seen, check_seen,     \
                   check_wanted);                                                                                   \
        }                                                                                                           \
    } while (0)

/* Runs one test; its name is the sentence that holds. */
#define TEST(name, function) (check_name = (name), check_tests++, function())

static int check_report(const char *what) {
    printf("%s: %d tests, %d failures\n", what, check_tests, check_failures);
    return check_failures == 0 ? 0 : 1;
}

#endif
