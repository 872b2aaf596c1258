/* SPDX-License-Identifier: Apache-2.0 */
/* A target that is wrong on purpose, so that driver_test.sh can see the driver notice: it fails on every input that holds '!' and
 * never comes back from one that begins with '~'. It tests nothing of the gateway. */
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    volatile bool waiting = size > 0 && bytes[0] == '~';
    while (waiting) {
    }
    PROPERTY(size == 0 || !memchr(bytes, '!', size));
    return 0;
}
