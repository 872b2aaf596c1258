/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: carried out, or refused with a reason. */
#include <string.h>

#include "base/text.h"
#include "gateway/core/core.h"

void core_on_command(struct core *core, const struct now *now, const struct command *command, struct command_outcome *ret_outcome) {
    (void)core;
    (void)now;
    *ret_outcome = (struct command_outcome){.ok = false};
    (void)text_copy(ret_outcome->why, sizeof(ret_outcome->why), command->refusal[0] ? command->refusal : "not yet");
}
