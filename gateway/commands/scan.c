/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo scan PORT: which devices are on a line, at which speed, and what they are. The walk is commission/sweep.c; this file
 * asks, shows how far it is, and describes what answered: how soon, which profiles fit, what the device says of itself.
 * What is found is printed at once, so that Ctrl-C costs nothing; the lines to paste come at the end. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/field.h"
#include "gateway/commission/identity.h"

#define FOUND_MAX 512
#define BEST_MAX 3
#define BAR_WIDTH 24
#define BAR_EVERY_US 100000
#define LISTEN_US 250000 /* is somebody else talking? */
#define EVERY_UNIT_MAX 6 /* so many in a row on a network: it does not look at the unit id */
#define LOST_MAX 5       /* connections lost in a row until it is given up */

struct found {
    struct sweep_setting setting;
    uint8_t unit_id;
    const struct profile *profile; /* the one that fits best, or NULL */
};

struct scan {
    struct field_port port;
    struct sweep sweep;
    struct bus_client *client;
    int opened; /* setting the port is open at; -1: none */
    struct field_profiles profiles;
    struct found found[FOUND_MAX];
    unsigned found_count, in_a_row, lost;
    bool bar_shown, terminal, every_unit;
    int64_t begun_us, bar_us;
};

static const char *const usage_text =
    "usage: yanhuo scan PORT [--baud LIST] [--parity LIST] [--units A-B] [--timeout MS] [--profiles DIR] [--state DIR]\n\n"
    "  PORT            a serial port (/dev/ttyUSB0, better /dev/serial/by-id/...), tcp:HOST[:PORT] or rtu_over_tcp:HOST:PORT\n"
    "  --baud LIST     speeds to try: 9600,4800 (usual ones by default, the most common first)\n"
    "  --parity LIST   none, even, odd: none,even\n"
    "  --units A-B     unit ids to ask: 1-247 by default, or 1-20, or 7\n"
    "  --timeout MS    how long a device may take to answer; learned by default\n"
    "  --profiles DIR  device profiles; those installed with the program by default\n"
    "  --state DIR     of a running gateway, " FIELD_STATE_DIR " by default: when it uses the port, it asks in its spare time,\n"
    "                  at the line's own speed only\n\n"
    "Ends with status 0 when something was found, 1 when not.\n";

/* ---- how far it is ---- */

static void bar_clear(struct scan *scan) {
    if (scan->bar_shown)
        (void)fputs("\r\033[K", stderr);
    scan->bar_shown = false;
}

static void bar_show(struct scan *scan) {
    int64_t now_us = now_mono_us();
    const struct sweep *sweep = &scan->sweep;
    if (!scan->terminal || now_us - scan->bar_us < BAR_EVERY_US || sweep->total == 0)
        return;
    char bar[BAR_WIDTH + 1], setting[FIELD_SETTING_SIZE];
    unsigned filled = sweep->done * BAR_WIDTH / sweep->total;
    for (unsigned i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    int64_t each_us = sweep->done ? (now_us - scan->begun_us) / sweep->done : sweep->timeout.now_us;
    unsigned left_s = (unsigned)((sweep->total - (sweep->done < sweep->total ? sweep->done : sweep->total)) * each_us / 1000000);
    scan->bar_us = now_us;
    scan->bar_shown = true;
    (void)fprintf(stderr, "\r\033[K  [%s] %-12s unit %3u   %u found   %u:%02u left", bar,
                  field_setting_text(setting, &sweep->settings[sweep->ask.setting]), sweep->ask.unit_id, scan->found_count, left_s / 60, left_s % 60);
}

/* Without a terminal: one line when the settings change. */
static void say_setting(const struct scan *scan, unsigned setting) {
    char text[FIELD_SETTING_SIZE];
    if (!scan->terminal)
        (void)fprintf(stderr, "  asking at %s, from unit id %u (%u of %u asked)\n", field_setting_text(text, &scan->sweep.settings[setting]),
                      scan->sweep.ask.unit_id, scan->sweep.done, scan->sweep.total);
}

/* ---- what a device is ---- */

static void add_best(const struct fit *fit, struct fit best[BEST_MAX], unsigned *count) {
    unsigned at = *count;
    while (at > 0 && fit_weight(fit) > fit_weight(&best[at - 1]))
        at--;
    if (at == BEST_MAX)
        return;
    if (*count < BEST_MAX)
        ++*count;
    memmove(&best[at + 1], &best[at], (*count - at - 1) * sizeof(best[0]));
    best[at] = *fit;
}

static void print_fits(const struct fit best[BEST_MAX], unsigned count, unsigned all) {
    char bytes[FIELD_TEXT_SIZE];
    struct text text;
    if (count == 0) {
        (void)printf("      no profile fits; `yanhuo probe` shows its registers\n");
        return;
    }
    text_init(&text, bytes, sizeof(bytes));
    fit_add_values(&best[0], &text);
    (void)printf("      %s %s: %s\n", fit_weight(&best[0]) >= FIT_WEIGHT_SURE ? "fits" : "could be", best[0].profile->name, bytes);
    text_init(&text, bytes, sizeof(bytes));
    for (unsigned i = 1; i < count; i++) {
        text_add(&text, i > 1 ? ", " : "");
        text_add(&text, best[i].profile->name);
    }
    if (all > count)
        text_add(&text, ", ...");
    if (count > 1)
        (void)printf("      also possible: %s\n", bytes);
    if (fit_weight(&best[0]) < FIT_WEIGHT_SURE || (count > 1 && fit_weight(&best[1]) == fit_weight(&best[0])))
        (void)printf("      compare the values with the device's label and display\n");
}

static const struct profile *try_profiles(struct scan *scan, uint8_t unit_id, int64_t timeout_us) {
    struct field_cache *cache = calloc(1, sizeof(*cache));
    struct fit best[BEST_MAX + 1], fit;
    struct arena arena;
    unsigned count = 0, all = 0;
    CHECK(cache);
    arena_init(&arena);
    cache->client = scan->client;
    cache->unit_id = unit_id;
    cache->timeout_us = timeout_us;
    for (unsigned i = 0; i < scan->profiles.count && !field_interrupted(); i++) {
        field_fit(cache, scan->profiles.items[i], &arena, &fit);
        if (fit_verdict(&fit) != FIT_YES)
            continue;
        all++;
        add_best(&fit, best, &count);
    }
    print_fits(best, count, all);
    const struct profile *profile = count ? best[0].profile : NULL;
    arena_done(&arena);
    free(cache);
    return profile;
}

static void print_identity(struct scan *scan, uint8_t unit_id, int64_t timeout_us) {
    struct bus_request request = {.unit_id = unit_id, .timeout_us = timeout_us};
    struct bus_answer answer;
    struct identity identity;
    identity_request(&request.pdu);
    bus_client_ask_any(scan->client, &request, &answer);
    if (answer.status != BUS_ANSWERED || identity_read(&answer.pdu, &identity) != ERR_OK)
        return;
    (void)printf("      says of itself: %s %s %s\n", identity.vendor, identity.product, identity.revision);
}

static struct found *keep(struct scan *scan, uint8_t unit_id) {
    if (scan->found_count == FOUND_MAX)
        return NULL;
    struct found *found = &scan->found[scan->found_count++];
    *found = (struct found){.setting = scan->sweep.settings[scan->sweep.ask.setting], .unit_id = unit_id};
    return found;
}

static void on_several(struct scan *scan) {
    char setting[FIELD_SETTING_SIZE];
    bar_clear(scan);
    (void)printf("  %-12s unit %3u   several devices answer, or the line is bad\n"
                 "      connect them one at a time and give each its own unit id: yanhuo assign\n",
                 field_setting_text(setting, &scan->sweep.settings[scan->sweep.ask.setting]), scan->sweep.ask.unit_id);
    (void)fflush(stdout);
}

static void on_found(struct scan *scan, const struct bus_answer *answer) {
    const struct sweep_ask ask = scan->sweep.ask;
    char setting[FIELD_SETTING_SIZE];
    bool serial = scan->port.spec.kind == BUS_SERIAL;
    int64_t timeout_us = 3 * answer->turnaround_us + (serial ? 100000 : 500000);
    if (serial && field_is_several(scan->client, ask.unit_id, timeout_us)) {
        on_several(scan);
        scan->sweep.found--;
        scan->sweep.several++;
        return;
    }
    struct found *found = keep(scan, ask.unit_id);
    if (!found)
        return;
    bar_clear(scan);
    (void)printf("  %-12s unit %3u   answers within %lld ms\n", field_setting_text(setting, &scan->sweep.settings[ask.setting]), ask.unit_id,
                 (long long)(answer->turnaround_us + 999) / 1000);
    found->profile = try_profiles(scan, ask.unit_id, timeout_us);
    print_identity(scan, ask.unit_id, timeout_us);
    (void)fflush(stdout);
}

/* ---- the walk ---- */

/* The port at the settings of this ask. */
static bool port_at(struct scan *scan, const struct sweep_ask *ask) {
    if (scan->client && scan->opened == ask->setting)
        return true;
    bus_client_close(scan->client);
    field_port_set(&scan->port, &scan->sweep.settings[ask->setting]);
    bar_clear(scan);
    scan->client = field_open(&scan->port);
    bool first = scan->opened < 0;
    scan->opened = ask->setting;
    if (!scan->client)
        return false;
    say_setting(scan, ask->setting);
    if (!first || scan->port.spec.kind != BUS_SERIAL)
        return true;
    uint8_t bytes[FRAME_SIZE];
    ssize_t length = bus_client_hear(scan->client, bytes, sizeof(bytes), now_mono_us() + LISTEN_US);
    if (length > 0)
        (void)fprintf(stderr,
                      "  Something is talking on this line already. Two masters disturb each other: switch the other one off,\n"
                      "  or listen to it with `yanhuo sniff %s`.\n",
                      scan->port.spec.serial);
    return true;
}

/* A gateway that says "this unit did not answer" has answered for nobody. */
static bool is_nobody(const struct bus_answer *answer) {
    return answer->status == BUS_ANSWERED && answer->pdu.size == 2 && (answer->pdu.bytes[0] & 0x80) &&
           (answer->pdu.bytes[1] == 10 || answer->pdu.bytes[1] == 11);
}

/* False: it is no use to go on. */
static bool ask_one(struct scan *scan, const struct sweep_ask *ask) {
    struct bus_answer answer;
    const uint8_t *data;
    uint64_t strays = bus_client_strays(scan->client);
    (void)field_read(scan->client, ask->unit_id, ask->function, 0, 1, ask->timeout_us, &answer, &data);
    if (answer.status == BUS_DISCONNECTED) {
        bar_clear(scan);
        bool network = scan->port.spec.kind != BUS_SERIAL;
        if (!network || ++scan->lost >= LOST_MAX) {
            (void)fprintf(stderr, "yanhuo scan: the %s was lost; what was found until now:\n", network ? "connection" : "port");
            return false;
        }
    } else {
        scan->lost = 0;
    }
    bool nobody = is_nobody(&answer) || answer.status == BUS_DISCONNECTED;
    enum sweep_result result =
        sweep_note(&scan->sweep, nobody ? BUS_TIMEOUT : answer.status, answer.turnaround_us, !nobody && bus_client_strays(scan->client) > strays);
    scan->in_a_row = result == SWEEP_FOUND ? scan->in_a_row + 1 : 0;
    if (result == SWEEP_SEVERAL)
        on_several(scan);
    if (result == SWEEP_FOUND)
        on_found(scan, &answer);
    if (scan->port.spec.kind != BUS_SERIAL && scan->in_a_row == EVERY_UNIT_MAX && scan->found_count == EVERY_UNIT_MAX) {
        scan->every_unit = true;
        return false;
    }
    return true;
}

static bool walk(struct scan *scan) {
    struct sweep_ask ask;
    while (!field_interrupted() && sweep_next(&scan->sweep, &ask)) {
        if (!port_at(scan, &ask))
            return false;
        if (!ask_one(scan, &ask))
            break;
        bar_show(scan);
    }
    bar_clear(scan);
    return true;
}

/* ---- the end ---- */

/* The first that was found at the same settings. */
static unsigned first_alike(const struct scan *scan, unsigned index) {
    const struct sweep_setting *own = &scan->found[index].setting;
    unsigned first = 0;
    for (;; first++) {
        const struct sweep_setting *other = &scan->found[first].setting;
        if (other->baud == own->baud && other->parity == own->parity && other->stop_bits == own->stop_bits)
            return first;
    }
}

/* "line", or "line-9600-even" when there are several speeds. */
static void bus_name(const struct scan *scan, unsigned buses, unsigned index, char name[40]) {
    static const char *const parities[] = {[PARITY_NONE] = "", [PARITY_EVEN] = "-even", [PARITY_ODD] = "-odd"};
    const struct sweep_setting *setting = &scan->found[index].setting;
    (void)snprintf(name, 40, "line");
    if (buses > 1)
        (void)snprintf(name, 40, "line-%u%s", (unsigned)setting->baud, parities[setting->parity]);
}

static void print_yaml(struct scan *scan) {
    char name[40];
    unsigned buses = 0;
    for (unsigned i = 0; i < scan->found_count; i++)
        buses += first_alike(scan, i) == i;
    (void)printf("\nFor the configuration (names and places of your own make it readable):\n\nbuses:\n");
    for (unsigned i = 0; i < scan->found_count; i++) {
        if (first_alike(scan, i) != i)
            continue;
        field_port_set(&scan->port, &scan->found[i].setting);
        bus_name(scan, buses, i, name);
        field_print_bus(&scan->port, name);
    }
    (void)printf("devices:\n");
    for (unsigned i = 0; i < scan->found_count; i++) {
        bus_name(scan, buses, i, name);
        field_print_device(scan->found[i].profile, name, scan->found[i].unit_id);
    }
    if (buses > 1)
        (void)printf("\nA line has one speed, but these devices have %u. Bring them to one with `yanhuo assign`, or wire them\n"
                     "to ports of their own.\n",
                     buses);
}

static void print_summary(struct scan *scan) {
    if (scan->every_unit) {
        (void)printf("\nIt answers at every unit id: it does not look at it. Only the first is listed.\n");
        scan->found_count = 1;
    }
    (void)printf("\n%s%u device%s found in %.1f s%s\n", field_interrupted() ? "Ended early. " : "", scan->found_count,
                 scan->found_count == 1 ? "" : "s", (double)(now_mono_us() - scan->begun_us) / 1e6,
                 scan->sweep.several ? ", and unit ids at which several answer, see above" : "");
    if (scan->found_count)
        print_yaml(scan);
    else if (!scan->sweep.several && !field_interrupted())
        (void)printf("Check: power at the device, A and B not swapped, common ground, one terminating resistor at each end.\n"
                     "Slow devices: --timeout 300.  Other speeds: --baud 1200,57600.\n");
}

/* ---- the command line ---- */

struct options {
    const char *port, *bauds, *parities, *units, *timeout, *profiles, *state;
};

/* -1: go on. */
static int read_options(int argc, char **argv, struct options *options) {
    static const struct option names[] = {{"baud", required_argument, NULL, 'b'},     {"parity", required_argument, NULL, 'y'},
                                          {"units", required_argument, NULL, 'u'},    {"timeout", required_argument, NULL, 't'},
                                          {"profiles", required_argument, NULL, 'p'}, {"state", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "b:h", names, NULL)) != -1;) {
        if (option == 'b')
            options->bauds = optarg;
        else if (option == 'y')
            options->parities = optarg;
        else if (option == 'u')
            options->units = optarg;
        else if (option == 't')
            options->timeout = optarg;
        else if (option == 'p')
            options->profiles = optarg;
        else if (option == 's')
            options->state = optarg;
        else {
            (void)fputs(usage_text, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (optind + 1 != argc) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    options->port = argv[optind];
    return -1;
}

/* When the gateway has the port, only the line's own settings can be tried. False: nobody lets us ask, and that was said. */
static bool find_road(struct scan *scan, struct sweep_setting *settings, unsigned *count) {
    scan->opened = -1;
    if (scan->port.spec.kind != BUS_SERIAL)
        return true;
    field_port_set(&scan->port, &settings[0]);
    scan->client = field_open_shared(&scan->port);
    if (scan->port.shared) {
        settings[0] = (struct sweep_setting){scan->port.spec.baud, scan->port.spec.parity, scan->port.spec.stop_bits};
        *count = 1;
        scan->opened = 0;
        return true;
    }
    bool found = scan->client != NULL;
    bus_client_close(scan->client);
    scan->client = NULL;
    return found;
}

static int scan_run(struct scan *scan, const struct options *options) {
    struct sweep_setting settings[SWEEP_SETTINGS_MAX];
    char setting[FIELD_SETTING_SIZE];
    uint64_t first = 1, last = 247, timeout_ms = 0;
    if (!field_port_read(&scan->port, "scan", options->port) || (options->units && !field_units_read("scan", options->units, &first, &last)) ||
        (options->timeout && !field_number_read("scan", "--timeout", options->timeout, 5, 10000, &timeout_ms)))
        return 2;
    unsigned count = field_settings_make("scan", scan->port.spec.kind == BUS_SERIAL, options->bauds, options->parities, settings);
    if (count == 0)
        return 2;
    if (options->state)
        scan->port.state_dir = options->state;
    if (!find_road(scan, settings, &count))
        return 1;
    sweep_init(&scan->sweep, settings, (uint8_t)count, (uint8_t)first, (uint8_t)last, (int64_t)timeout_ms * 1000);
    scan->terminal = isatty(STDERR_FILENO);
    scan->begun_us = now_mono_us();
    (void)printf("Asking unit ids %u to %u on %s at %u setting%s, %s first. Ctrl-C ends it and shows what was found.\n", (unsigned)first,
                 (unsigned)last, options->port, count, count == 1 ? "" : "s", field_setting_text(setting, &settings[0]));
    (void)fflush(stdout);
    field_catch_interrupt();
    field_profiles_load(&scan->profiles, options->profiles ? options->profiles : config_profiles_dir());
    bool done = walk(scan);
    bus_client_close(scan->client);
    if (done || scan->found_count)
        print_summary(scan);
    field_profiles_done(&scan->profiles);
    return scan->found_count || scan->sweep.several ? 0 : 1;
}

int command_scan(int argc, char **argv) {
    struct options options = {0};
    int status = read_options(argc, argv, &options);
    if (status >= 0)
        return status;
    struct scan *scan = calloc(1, sizeof(*scan));
    CHECK(scan);
    status = scan_run(scan, &options);
    free(scan);
    return status;
}
