/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of commands share: a plant, and a command that is accepted or refused as a whole. */
#ifndef YANHUO_TESTS_COMMAND_RIG_H
#define YANHUO_TESTS_COMMAND_RIG_H

#include "core_rig.h"

/* alarm-0 fire, latching, on device-0 in place shed-1; alarm-1 .. alarm-3 electrical on the others; alarm-4 electrical on device-0, too.
 * Of device-1 p1 (-5 to 5), p2 (off, on, test) and p3 can be written. */
void command_plant(struct site *site);
/* Refused with these words, and nothing has changed by it. */
void command_refused(struct core_rig *rig, int64_t ms, const struct command *command, const char *words);
/* Accepted: told as an event of this kind with what was asked; once more it is refused. */
void command_accepted(struct core_rig *rig, int64_t ms, const struct command *command, enum entry_kind kind);
void command_raise(struct core_rig *rig, int64_t ms, uint16_t alarm);
void command_put(char *field, const char *text);
/* Out of service for so long. */
struct command command_out(struct core_rig *rig, int64_t ms, const char *target, int64_t for_ms);

#endif
