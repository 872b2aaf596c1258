/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo run`: builds everything from a configuration, runs it until a signal, and takes it down in order. */
#ifndef YANHUO_RUN_H
#define YANHUO_RUN_H

#include "config/config.h"
#include "gateway/io/record.h"

/* Returns the exit status: 0 after an orderly end, 1 when it could not start. */
int run_gateway(const struct config *config, const char *state_dir);
/* The same, and records what happens; `config` must be as it was loaded. */
int run_gateway_recorded(const struct config *config, const char *state_dir, const struct record_options *options);

#endif
