/* SPDX-License-Identifier: Apache-2.0 */
/* The program as a person calls it: one call, its exit status, and everything it printed. */
#ifndef TESTS_PRINTED_H
#define TESTS_PRINTED_H

#define PRINTED_SIZE 262144

extern char printed[PRINTED_SIZE]; /* by the last call, errors included */

/* Runs the program with these arguments, its input empty, and returns its exit status. */
__attribute__((format(printf, 1, 2))) int printed_run(const char *format, ...);
void printed_has(const char *part);
void printed_has_not(const char *part);

#endif
