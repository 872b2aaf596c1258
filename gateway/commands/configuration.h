/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a command that is not about it. */
#ifndef YANHUO_CONFIGURATION_H
#define YANHUO_CONFIGURATION_H

#include "config/load.h"

/* False, and its errors are said on stderr: the exit status is 2. Warnings are for `yanhuo check`; here they would hide what the command says. */
bool configuration_load(const char *path, const char *profiles, struct arena *arena, const struct config **ret_config);

#endif
