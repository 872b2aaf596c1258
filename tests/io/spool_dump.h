/* SPDX-License-Identifier: Apache-2.0 */
/* What a spool holds while no store has it open. */
#ifndef TESTS_SPOOL_DUMP_H
#define TESTS_SPOOL_DUMP_H

#include "gateway/core/entry.h"

/* Every committed entry of all lanes, lane by lane in order. False when the file cannot be read. */
bool spool_dump(const char *path, void (*each)(void *context, const struct entry *entry), void *context);

#endif
