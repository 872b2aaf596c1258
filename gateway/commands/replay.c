/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo replay`: a recording of the field, stepped again. When PATH.1 is the older half of the same start, it begins there. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/commands/commands.h"
#include "gateway/commands/replay.h"

static void usage(FILE *to) {
    fputs("usage: yanhuo replay FILE [--from TIME] [--until TIME] [--trace]\n\n"
          "Steps the gateway's machines through what `yanhuo run --record FILE` has kept, and prints the log they write.\n"
          "FILE.1, the older half, is used when it is there. Nothing is sent, written or switched.\n\n"
          "      --from TIME    print from here on, as 2026-11-26T12:00:00+08:00; everything before is stepped all the same\n"
          "      --until TIME   end here\n"
          "      --trace        every event and every effect as well\n\n"
          "exit status: 0 the replay did what was recorded, 1 it did not, 2 the recording cannot be read\n",
          to);
}

static bool is_older_half(const struct replay_file *older, const struct replay_file *newer) {
    return older->head.start == newer->head.start && older->head.number + 1 == newer->head.number;
}

static const char *time_of(char bytes[40], int64_t wall_ms, const struct config *config) {
    struct text text;
    text_init(&text, bytes, 40);
    text_add_time(&text, wall_ms, config->utc_offset_minutes);
    return bytes;
}

static void print_differences(const struct replay *replay, bool anchor) {
    char time[40];
    int64_t first_ms = 0;
    uint64_t undecided = replay_undecided(replay, &first_ms);
    if (replay->differs)
        printf("differs: first at event %llu (%s, %s); from there on the replay goes its own way\n", (unsigned long long)replay->differs_at,
               event_kind_name(replay->differs_kind), time_of(time, replay->differs_ms, &replay->config));
    if (replay->lost)
        printf("lost: %llu steps are missing in the recording; after them decisions are compared, not every effect\n", (unsigned long long)replay->lost);
    if (anchor)
        printf("anchor: the recording begins in the middle, as after a restart; decisions are compared, from the second minute on\n");
    if (undecided)
        printf("decisions: %llu kinds are not as often as recorded, the first at %s\n", (unsigned long long)undecided,
               time_of(time, first_ms, &replay->config));
    if (replay->damaged)
        printf("damaged: the recording is cut or damaged after event %llu\n", (unsigned long long)replay->steps);
}

/* Exit status. */
static int print_summary(const struct replay *replay, const struct replay_file *first) {
    char from[40], until[40];
    int64_t unused;
    bool same = !replay->differs && !replay_undecided(replay, &unused);
    printf("-- replayed %llu events, %s to %s\n", (unsigned long long)replay->steps, time_of(from, replay->first_ms, &replay->config),
           time_of(until, replay->last_ms, &replay->config));
    printf("recorded by %s, gateway %s, configuration %s\n", first->head.version, replay->config.gateway_id, replay->config.hash);
    printf("alarm transitions %llu, writes %llu, sends %llu\n", (unsigned long long)replay->alarms, (unsigned long long)replay->writes,
           (unsigned long long)replay->sends);
    if (replay->fit.changed || replay->fit.skipped)
        printf("events made to fit %llu, without a place %llu\n", (unsigned long long)replay->fit.changed, (unsigned long long)replay->fit.skipped);
    print_differences(replay, first->head.anchor);
    printf("%s\n", same ? "same" : "different");
    return same ? 0 : 1;
}

static int replay_files(struct replay *replay, const struct replay_file *older, const struct replay_file *newer) {
    const struct replay_file *first = older ? older : newer;
    int status = 2;
    arena_init(&replay->arena);
    if (replay_begin(replay, first)) {
        replay_run(replay, first);
        if (older && !replay->damaged)
            replay_run(replay, newer);
        status = print_summary(replay, first);
    }
    replay_end(replay);
    return status;
}

static int replay_path(const char *path, const struct replay_options *options) {
    struct replay_file newer, older = {.bytes = NULL};
    char older_path[4096];
    struct replay *replay = calloc(1, sizeof(*replay));
    if (!replay || !replay_file_read(path, &newer)) {
        free(replay);
        return 2;
    }
    replay->options = *options;
    bool both = snprintf(older_path, sizeof(older_path), "%s.1", path) < (int)sizeof(older_path) && replay_file_try(older_path, &older) &&
                is_older_half(&older, &newer);
    int status = replay_files(replay, both ? &older : NULL, &newer);
    replay_file_free(&older);
    replay_file_free(&newer);
    free(replay);
    return status;
}

static bool read_time(const char *option, const char *text, int64_t *ret_ms) {
    if (text_read_time(text, ret_ms))
        return true;
    fprintf(stderr, "yanhuo replay: --%s '%s' is no time; write it as 2026-11-26T12:00:00+08:00\n", option, text);
    return false;
}

int command_replay(int argc, char **argv) {
    static const struct option options[] = {{"from", required_argument, NULL, 'f'},
                                            {"until", required_argument, NULL, 'u'},
                                            {"trace", no_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct replay_options wanted = {.from_ms = INT64_MIN, .until_ms = INT64_MAX};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'f':
            if (!read_time("from", optarg, &wanted.from_ms))
                return 2;
            break;
        case 'u':
            if (!read_time("until", optarg, &wanted.until_ms))
                return 2;
            break;
        case 't':
            wanted.events = true;
            break;
        default:
            usage(option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    return replay_path(argv[optind], &wanted);
}
