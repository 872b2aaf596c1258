/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo run`: loads the configuration, says what is wrong with it, and runs the gateway. */
#include <getopt.h>
#include <stdio.h>

#include "config/load.h"
#include "config/scalar.h"
#include "gateway/commands/commands.h"
#include "gateway/run.h"
#include "sensors/bus_rtu.h"

static void usage(FILE *to) {
    fputs("usage: yanhuo run -c FILE -s STATE_DIR [--profiles DIR] [--record FILE [--record-size SIZE]]\n\n"
          "  -c, --config FILE    the configuration (required)\n"
          "  -s, --state DIR      where readings, events and open alarms are kept (required; must exist)\n"
          "      --profiles DIR   device profiles; those installed with the program by default\n"
          "      --record FILE    keeps what happens for `yanhuo replay FILE`; the older half is FILE.1\n"
          "      --record-size S  most bytes of both, 16 MB by default, 1 MB at least; the oldest is overwritten\n",
          to);
}

static int load_and_run(const char *config_path, const char *profiles_dir, const char *state_dir, const struct record_options *record) {
    struct arena arena;
    struct diagnostics diagnostics;
    const struct config *config;
    arena_init(&arena);
    diagnostics_init(&diagnostics);
    enum err err = config_load(config_path, profiles_dir, &arena, &diagnostics, &config);
    diagnostics_print(&diagnostics, stderr);
    diagnostics_done(&diagnostics);
    int status = err == ERR_OK ? run_gateway_recorded(config, state_dir, record) : 2;
    if (!bus_rtu_abandoned()) /* such a thread may come back at any moment, and reads it */
        arena_done(&arena);
    return status;
}

static bool read_size(const char *text, uint64_t *ret_size) {
    if (scalar_size(text, ret_size) && *ret_size >= RECORD_SIZE_LEAST)
        return true;
    fprintf(stderr, "yanhuo run: --record-size '%s' is no size of at least 1 MB; write it as 16MB\n", text);
    return false;
}

int command_run(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"state", required_argument, NULL, 's'},
                                            {"profiles", required_argument, NULL, 'p'},
                                            {"record", required_argument, NULL, 'r'},
                                            {"record-size", required_argument, NULL, 'R'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct record_options record = {.bytes_most = RECORD_SIZE_DEFAULT};
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
        case 'r':
            record.path = optarg;
            break;
        case 'R':
            if (!read_size(optarg, &record.bytes_most))
                return 2;
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
    return load_and_run(config_path, profiles_dir, state_dir, &record);
}
