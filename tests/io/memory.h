/* SPDX-License-Identifier: Apache-2.0 */
/* What the program has taken and not given back: what a test compares of which this must stand still. */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include <stddef.h>

size_t memory_in_use(void); /* bytes of the heap */
/* How much of that may have been given back: glibc counts what its threads' caches keep for the next who asks; a sanitizer does not. */
size_t memory_cached_max(void);
unsigned memory_threads(void);
unsigned memory_descriptors(void);

#endif
