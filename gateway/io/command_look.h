/* SPDX-License-Identifier: Apache-2.0 */
/* What a command's text shows before it is read as JSON: things that the JSON reader would let pass, and the id. Part of
 * command_json. */
#ifndef YANHUO_COMMAND_LOOK_H
#define YANHUO_COMMAND_LOOK_H

#include <stddef.h>

#include "base/limits.h"

struct command_look {
    char id[NAME_SIZE]; /* "" when none can be seen */
    const char *wrong;  /* "is nested too deeply ...", or NULL */
};

/* `text` ends with a mark at `length`; there may be others before. */
void command_look(const char *text, size_t length, struct command_look *ret_look);

#endif
