/* SPDX-License-Identifier: Apache-2.0 */
/* How much the program has taken from the heap and not given back: what a test of memory that must stand still compares. */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include <stddef.h>

size_t memory_in_use(void);

#endif
