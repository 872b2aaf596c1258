/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo run`: builds everything from a configuration, runs it until a signal, and takes it down in order. */
#ifndef YANHUO_RUN_H
#define YANHUO_RUN_H

#include "config/config.h"

/* Returns the exit status: 0 after an orderly end, 1 when it could not start. */
int run_gateway(const struct config *config, const char *state_dir);

#endif
