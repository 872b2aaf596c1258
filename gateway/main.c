/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: a table of subcommands, nothing else. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "gateway/commands/commands.h"

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
};

static const struct subcommand subcommands[] = {
    {"run", command_run, "run the gateway:  yanhuo run -c gateway.yaml -s STATE_DIR"},
    {"replay", command_replay, "step the gateway through a recording:  yanhuo replay FILE"},
    {"check", command_check, "check a configuration and say what it will cost:  yanhuo check -c gateway.yaml"},
    {"checklist", command_checklist, "a place's rules in plain words, and what is not watched:  yanhuo checklist -c gateway.yaml"},
    {"events", command_events, "what is kept of alarms, commands and problems:  yanhuo events -c gateway.yaml -s STATE_DIR --days 7"},
    {"explain", command_explain, "the manual of a configuration key:  yanhuo explain uplinks.*.readings.batch"},
    {"schema", command_schema, "a JSON Schema of the configuration, for editors"},
    {"command", command_command, "ask the running gateway to do something:  yanhuo command acknowledge device=smoke-1 alarm=smoke"},
    {"simulate", command_simulate, "play the devices of a configuration:  yanhuo simulate config/demo.yaml"},
    {"scan", command_scan, "find the devices of a line, at any speed:  yanhuo scan /dev/ttyUSB0"},
    {"probe", command_probe, "a register in every type and word order:  yanhuo probe /dev/ttyUSB0 UNIT_ID ADDRESS"},
    {"assign", command_assign, "give a new device its unit id:  yanhuo assign /dev/ttyUSB0 --profile NAME --to UNIT_ID"},
    {"sniff", command_sniff, "listen to a foreign master:  yanhuo sniff /dev/ttyUSB0"},
};

static void usage(FILE *to) {
    fprintf(to, "yanhuo %s - brings alarms from Modbus sensors to their subscribers\n\nusage: yanhuo COMMAND [OPTIONS]\n\n", YANHUO_VERSION);
    for (unsigned i = 0; i < ARRAY_COUNT(subcommands); i++)
        fprintf(to, "  %-10s %s\n", subcommands[i].name, subcommands[i].what);
    fprintf(to, "\n`yanhuo COMMAND --help` says more. This program supplements, and never replaces, a certified fire alarm system.\n");
}

int main(int argc, char **argv) {
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts(YANHUO_VERSION);
        return 0;
    }
    for (unsigned i = 0; argc >= 2 && i < ARRAY_COUNT(subcommands); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "yanhuo: there is no command '%s'\n\n", argv[1]);
    usage(stderr);
    return 2;
}
