/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo run`: loads the configuration, says what is wrong with it, and runs the gateway. */
#include <getopt.h>
#include <stdio.h>

#include "config/load.h"
#include "gateway/commands/commands.h"
#include "gateway/run.h"
#include "sensors/bus_rtu.h"

static void usage(FILE *to) {
    fputs("usage: yanhuo run -c FILE -s STATE_DIR [--profiles DIR]\n\n"
          "  -c, --config FILE    the configuration (required)\n"
          "  -s, --state DIR      where readings, events and open alarms are kept (required; must exist)\n"
          "      --profiles DIR   device profiles; those installed with the program by default\n",
          to);
}

static int load_and_run(const char *config_path, const char *profiles_dir, const char *state_dir) {
    struct arena arena;
    struct diagnostics diagnostics;
    const struct config *config;
    arena_init(&arena);
    diagnostics_init(&diagnostics);
    enum err err = config_load(config_path, profiles_dir, &arena, &diagnostics, &config);
    diagnostics_print(&diagnostics, stderr);
    diagnostics_done(&diagnostics);
    int status = err == ERR_OK ? run_gateway(config, state_dir) : 2;
    if (!bus_rtu_abandoned()) /* such a thread may come back at any moment, and reads it */
        arena_done(&arena);
    return status;
}

int command_run(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"state", required_argument, NULL, 's'},
                                            {"profiles", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *config_path = NULL, *state_dir = NULL, *profiles_dir = config_profiles_dir();
    for (int option; (option = getopt_long(argc, argv, "c:s:p:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            config_path = optarg;
            break;
        case 's':
            state_dir = optarg;
            break;
        case 'p':
            profiles_dir = optarg;
            break;
        default:
            usage(option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (!config_path || !state_dir || optind != argc) {
        usage(stderr);
        return 2;
    }
    return load_and_run(config_path, profiles_dir, state_dir);
}
