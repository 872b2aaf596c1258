/* SPDX-License-Identifier: Apache-2.0 */
/* With a sanitizer the heap is the sanitizer's, and mallinfo2 knows nothing of it. */
#include "tests/io/memory.h"

#include <malloc.h>

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t memory_in_use(void) {
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
