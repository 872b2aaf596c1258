/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "%s:%d: the program is wrong about itself: %s does not hold; it stops to be started anew\n", file, line, condition);
    abort();
}
