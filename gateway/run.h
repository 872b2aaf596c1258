/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo run`: builds everything from a configuration, runs it until a signal, and takes it down in order. */
#ifndef YANHUO_RUN_H
#define YANHUO_RUN_H

#include "config/config.h"
#include "gateway/io/record.h"

#define RUN_RESTART 3

/* Returns the exit status: 0 after an orderly end, 1 when it could not start, RUN_RESTART when it ended in order to be started anew. While
 * bus_rtu_abandoned() is not 0 after that, `config` must stay. */
int run_gateway(const struct config *config, const char *state_dir);
/* The same with another pace of the watch, for tests. */
struct bridge_pace;
int run_gateway_at(const struct config *config, const char *state_dir, const struct bridge_pace *pace);

/* The same, and records what happens; `config` must be as it was loaded. */
int run_gateway_recorded(const struct config *config, const char *state_dir, const struct record_options *options);

#endif
