/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/commands/configuration.h"

bool configuration_load(const char *path, const char *profiles, struct arena *arena, const struct config **ret_config) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    bool done = config_load(path, profiles, arena, &diagnostics, ret_config) == ERR_OK;
    if (!done)
        diagnostics_print(&diagnostics, stderr);
    diagnostics_done(&diagnostics);
    return done;
}
