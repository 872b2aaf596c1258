/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo events -c FILE [-s STATE_DIR] [--days N]: what the gateway keeps of alarms, actions, commands, problems and maintenance, delivered or
 * not, oldest first, as the lines of JSON that an uplink gets under `event`. The gateway may run meanwhile. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/now.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/configuration.h"
#include "gateway/commands/field.h"
#include "gateway/io/store_archive.h"
#include "gateway/io/store_files.h"
#include "gateway/uplinks/mqtt_json.h"

#define DAYS_MAX 36500

struct wish {
    const char *path, *profiles, *state_dir;
    uint64_t days; /* 0: all */
};

struct printing {
    struct mqtt_json json;
    char topic[TOPIC_SIZE], payload[PAYLOAD_SIZE];
    bool failed;
};

static bool print_event(void *context, const struct entry *entry) {
    struct printing *printing = context;
    struct text topic, payload;
    text_init(&topic, printing->topic, sizeof(printing->topic));
    text_init(&payload, printing->payload, sizeof(printing->payload));
    if (mqtt_json_entry(&printing->json, entry, true, &topic, &payload))
        printing->failed = printf("%.*s\n", (int)payload.length, printing->payload) < 0;
    return !printing->failed;
}

/* Exit status: 1 when the file cannot be read. */
static int events_print(const struct config *config, const struct wish *wish) {
    static const struct series_directory no_series;
    char path[STORE_PATH_SIZE];
    struct stat status;
    struct database *database;
    struct database_failure failure;
    struct now now;
    if (files_path(wish->state_dir, ARCHIVE_NAME, path) != ERR_OK || stat(path, &status) != 0) {
        fprintf(stderr, "%s/" ARCHIVE_NAME ": %s; STATE_DIR is the folder that `yanhuo run` was given with -s\n", wish->state_dir, strerror(errno));
        return 1;
    }
    now_read(&now);
    int64_t from_ms = wish->days ? now.wall_ms - (int64_t)wish->days * 86400000 : 0;
    struct printing *printing = calloc(1, sizeof(*printing));
    CHECK(printing);
    printing->json = (struct mqtt_json){.config = config, .series = &no_series, .topic_prefix = "", .version = ""};
    enum err err = database_open(path, DATABASE_VISITOR, &database, &failure);
    if (err == ERR_OK) {
        err = archive_read(database, from_ms, INT64_MAX, print_event, printing, &failure);
        database_close(database);
    }
    bool failed = printing->failed || fflush(stdout) != 0;
    free(printing);
    if (err != ERR_OK)
        fprintf(stderr, "%s cannot be read: %s (%s)%s\n", path, err_sentence(err), failure.text,
                err == ERR_IO ? "; run this as root or as the gateway's own user" : "");
    return err != ERR_OK || failed;
}

static int events(const struct wish *wish) {
    struct arena arena;
    const struct config *config;
    arena_init(&arena);
    int result = configuration_load(wish->path, wish->profiles, &arena, &config) ? events_print(config, wish) : 2;
    arena_done(&arena);
    return result;
}

int command_events(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},   {"state", required_argument, NULL, 's'},
                                            {"days", required_argument, NULL, 'd'},     {"profiles", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    struct wish wish = {.profiles = config_profiles_dir(), .state_dir = FIELD_STATE_DIR};
    bool usage = false, help = false;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1;) {
        if (option == 'c')
            wish.path = optarg;
        else if (option == 's')
            wish.state_dir = optarg;
        else if (option == 'p')
            wish.profiles = optarg;
        else if (option == 'h')
            help = true;
        else
            usage |= option != 'd' || !text_read_u64(optarg, &wish.days) || !wish.days || wish.days > DAYS_MAX;
    }
    if (help || usage || !wish.path || optind < argc) {
        fprintf(help ? stdout : stderr,
                "usage: yanhuo %s -c FILE [-s STATE_DIR] [--days N] [--profiles DIR]\n\n"
                "  -c, --config FILE    the configuration (required): name and time zone of the gateway\n"
                "  -s, --state DIR      the state folder of that gateway (" FIELD_STATE_DIR ")\n"
                "      --days N         only the last N days\n"
                "      --profiles DIR   device profiles; those installed with the program by default\n\n"
                "Prints what is kept of alarms, actions, commands, problems, maintenance and walk tests, delivered or not, oldest first: a line of\n"
                "JSON each, as uplinks get it. What happened in the last minutes is filed within five. store.event_days and\n"
                "store.record_days say how long it is kept. Ends with status 1 when the file cannot be read.\n",
                argv[0]);
        return help ? 0 : 2;
    }
    return events(&wish);
}
