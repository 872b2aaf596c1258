/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo check -c FILE [-s DIR] [--profiles DIR]: everything that is wrong with a configuration, then what it will cost. Exit status
 * 0, or 2 when there is an error, or the state folder's disk is too small for what is asked. Diagnostics and the table go to stdout, because they are what was asked for. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "config/estimate.h"
#include "config/load.h"
#include "gateway/commands/commands.h"
#include "gateway/io/store_files.h"
#include "sensors/bus_rtu.h"

static void print_cases(const int64_t *cases_us) {
    for (unsigned i = 0; i < ESTIMATE_CASES; i++)
        printf(" %9.3f s", (double)cases_us[i] / 1e6);
    putchar('\n');
}

/* Each fire point, and each action whose alarm is of this bus: how late at worst, by newly silent devices. */
static void print_latencies(const struct config *config, uint16_t index, struct arena *scratch) {
    struct estimate_fire *fires;
    uint16_t count;
    if (estimate_fires(config, index, scratch, &fires, &count) != ERR_OK)
        return;
    bool head = false;
    for (uint16_t i = 0; i < count; i++)
        for (uint16_t p = 0; p < fires[i].request->points_count; p++) {
            const struct device_spec *device = &config->devices[fires[i].device].spec;
            if (!head)
                printf("    %-46s %9u   %9u   %9u\n", "at worst, with so many devices newly silent:", estimate_silent[0], estimate_silent[1],
                       estimate_silent[2]);
            head = true;
            printf("    seen    %s/%-*s", device->name, 37 - (int)strlen(device->name), device->points[fires[i].request->points[p]].name);
            print_cases(fires[i].seen_us);
        }
    bool said = false;
    for (uint16_t i = 0; i < config->actions_count; i++) {
        const struct config_action *action = &config->actions[i];
        int64_t written_us[ESTIMATE_CASES];
        struct estimate_prompt prompt;
        if (config->devices[config->alarms[action->alarm].device].bus != index || estimate_action(config, i, scratch, written_us) != ERR_OK)
            continue;
        printf("    written %-38s", action->name);
        print_cases(written_us);
        if (estimate_prompt(config, i, scratch, &prompt) != ERR_OK)
            continue;
        printf("    begins  %-38s", action->name);
        print_cases(prompt.begins_us);
        said = true;
    }
    if (said)
        printf("    (begins: from the end of the reply that causes it to the first byte of its write; devices that are known dead add nothing to it)\n");
}

static void print_bus(const struct config *config, uint16_t index, struct arena *scratch) {
    struct estimate_bus bus;
    if (estimate_bus(config, index, scratch, &bus) != ERR_OK)
        return; /* the loader has refused it */
    printf("  bus %-18s %3u devices %5u points %4u requests", config->buses[index].name, bus.devices, (unsigned)bus.points, bus.requests);
    if (bus.line)
        printf("   load %5.1f %%   round %6.0f ms", bus.load * 100, (double)bus.round_us / 1000);
    putchar('\n');
    int latency_ms = config->buses[index].kind == BUS_SERIAL ? bus_rtu_latency_ms(config->buses[index].serial) : -1;
    if (latency_ms > 1)
        printf("    its adapter keeps bytes back for up to %d ms: set its latency_timer to 1 (the udev rule 70-yanhuo does)\n", latency_ms);
    print_latencies(config, index, scratch);
}

static void print_uplink(const struct config *config, uint16_t index, struct arena *scratch) {
    struct estimate_uplink uplink;
    const struct config_uplink *spec = &config->uplinks[index];
    if (estimate_uplink(config, index, scratch, &uplink) != ERR_OK)
        return;
    printf("  uplink %-15s ", spec->name);
    for (unsigned i = 0; i < spec->mqtt.brokers_count; i++) {
        const struct config_broker *broker = &spec->mqtt.brokers[i];
        printf("%s%s:%u%s", i ? ", else " : "", broker->host, broker->port, broker->tls ? " (TLS)" : "");
    }
    printf("   about %.0f MB a month (readings %.0f, health and keepalive %.0f), %.0f messages an hour\n", uplink.readings_mb + uplink.other_mb,
           uplink.readings_mb, uplink.other_mb, uplink.messages_per_hour);
    if (uplink.day_backlog_h > 0)
        printf("    a day without it is made up for in %.1f h at backlog_rate %u%s\n", uplink.day_backlog_h, (unsigned)spec->mqtt.backlog_rate,
               uplink.day_backlog_h > 24 ? ": longer than the day itself; raise it, or readings.batch" : "");
}

static void print_store(const struct config *config) {
    struct estimate_store store;
    estimate_store(config, &store);
    printf("  store  %.4g readings/s, at most %.0f bytes on the device a reading, %.0f MB a day", store.readings_per_s, store.device_bytes_reading,
           store.device_mb_day);
    if (store.card_years > 0)
        printf("; the card lasts about %.3g years", store.card_years);
    printf("\n         needs up to %.1f GB: undelivered %.1f, history %.1f, means %.1f, events %.1f\n", (double)store.needed_bytes / 1e9,
           (double)config->store.spool_bytes_max / 1e9, (double)store.history_bytes / 1e9, (double)store.rollup_bytes / 1e9,
           (double)config->store.events_bytes_max / 1e9);
}

/* What is in the folder already counts as room: it is part of what is asked. True when there is enough, or nobody knows. */
static bool disk_suffices(const struct config *config, const char *state_dir) {
    static const char *const names[] = {"spool.db", "history.db", "events.db"};
    struct estimate_store store;
    int64_t room = files_room(state_dir);
    if (room < 0) {
        printf("%s: error: its disk cannot be looked at; the state folder must exist\n", state_dir);
        return false;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[STORE_PATH_SIZE];
        struct stat status;
        if (files_path(state_dir, names[i], path) == ERR_OK && stat(path, &status) == 0)
            room += status.st_size;
    }
    estimate_store(config, &store);
    if ((uint64_t)room >= store.needed_bytes)
        return true;
    printf("%s: error: its disk has room for %.1f GB, but %.1f GB are needed; use a larger one, or lower store.history, history_days, "
           "rollup_days, events or spool\n",
           state_dir, (double)room / 1e9, (double)store.needed_bytes / 1e9);
    return false;
}

static void print_table(const struct config *config) {
    struct arena scratch;
    arena_init(&scratch);
    printf("%s: %u places, %u buses, %u devices, %u points, %u alarms, %u actions, %u uplinks\n", config->gateway_id, config->places_count,
           config->buses_count, config->devices_count, (unsigned)config->points_count, config->alarms_count, config->actions_count,
           config->uplinks_count);
    for (uint16_t i = 0; i < config->buses_count; i++)
        print_bus(config, i, &scratch);
    for (uint16_t i = 0; i < config->uplinks_count; i++)
        print_uplink(config, i, &scratch);
    print_store(config);
    printf("hash %s, profiles %s\n", config->hash, config->profiles_hash);
    arena_done(&scratch);
}

static int check(const char *path, const char *profiles, const char *state_dir) {
    struct diagnostics *diagnostics = malloc(sizeof(*diagnostics));
    struct arena arena;
    const struct config *config;
    CHECK(diagnostics);
    diagnostics_init(diagnostics);
    arena_init(&arena);
    enum err err = config_load(path, profiles, &arena, diagnostics, &config);
    diagnostics_print(diagnostics, stdout);
    if (err == ERR_OK)
        print_table(config);
    if (err == ERR_OK && state_dir && !disk_suffices(config, state_dir)) {
        err = ERR_FULL;
        diagnostics->errors++;
    }
    printf("%u %s, %u %s\n", diagnostics->errors, diagnostics->errors == 1 ? "error" : "errors", diagnostics->warnings,
           diagnostics->warnings == 1 ? "warning" : "warnings");
    arena_done(&arena);
    diagnostics_done(diagnostics);
    free(diagnostics);
    return err == ERR_OK ? 0 : 2;
}

int command_check(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"state", required_argument, NULL, 's'}, {"profiles", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *path = NULL, *profiles = config_profiles_dir(), *state_dir = NULL;
    bool usage = false, help = false;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1;) {
        if (option == 'c')
            path = optarg;
        else if (option == 's')
            state_dir = optarg;
        else if (option == 'p')
            profiles = optarg;
        else if (option == 'h')
            help = true;
        else
            usage = true;
    }
    if (help || usage || !path || optind < argc) {
        fprintf(help ? stdout : stderr,
                "usage: yanhuo %s -c FILE [-s DIR] [--profiles DIR]\n\n"
                "  -c, --config FILE    the configuration (required)\n"
                "  -s, --state DIR      the state folder: is its disk large enough?\n"
                "      --profiles DIR   device profiles; those installed with the program by default\n\n"
                "Ends with status 0 when it can be run, warnings or not, and 2 when there is an error.\n",
                argv[0]);
        return help ? 0 : 2;
    }
    return check(path, profiles, state_dir);
}
