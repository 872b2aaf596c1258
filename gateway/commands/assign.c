/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo assign PORT --profile NAME --to UNIT_ID: gives a new device its unit id, and its speed, through the registers that its
 * profile names. One device at a time, because until then all of them answer at the same address.
 *
 *   prepare   the profile has an address register, and a code for the speed            else: what to do instead
 *   find      at factory settings; else one sweep of the usual settings
 *   refuse    two devices answer there, the target unit id is taken, or it is another device than the profile says
 *   agree     a person says yes (or --yes)
 *   write     unit id, then speed, each followed by looking where the device is now: at the new settings, at the old ones, or between.
 *             An answer to the write itself is no proof: some devices answer from their new address, some not at all.
 *   verify    read a value at the new settings; a device that has the new values but still speaks with the old ones wants its
 *             power switched off and on */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/field.h"

#define TIMEOUT_US 500000
#define SETTLE_US 300000 /* a device that changes its speed takes a moment */
#define LOOKS_MAX 3

struct place { /* where a device speaks */
    struct sweep_setting setting;
    uint8_t unit_id;
};

struct assign {
    struct field_port port;
    struct bus_client *client;
    struct sweep_setting opened;
    struct arena arena; /* of the profile and what is tried of it */
    const struct profile *profile;
    struct place now, target;
    bool yes;
};

static const char *const usage_text =
    "usage: yanhuo assign PORT --profile NAME --to UNIT_ID [--baud B] [--from UNIT_ID] [--at-baud B] [--yes] [--profiles DIR]\n\n"
    "  PORT            the serial port to which only the new device is connected\n"
    "  --profile NAME  what it is: a file of the profiles folder, without .yaml\n"
    "  --to UNIT_ID    the unit id it shall have, 1 to 247\n"
    "  --baud B        the speed it shall have; without it the speed stays\n"
    "  --from UNIT_ID  the unit id it has now;  --at-baud B: the speed it has now (factory settings, else a search)\n"
    "  --yes           ask nothing: for scripts\n";

/* ---- asking the person ---- */

static bool confirm(const struct assign *assign, const char *question, bool want_yes) {
    char line[16];
    if (assign->yes)
        return true;
    (void)printf("%s %s ", question, want_yes ? "[y/N]" : "[Enter]");
    (void)fflush(stdout);
    if (!fgets(line, sizeof(line), stdin) || field_interrupted())
        return false;
    return !want_yes || line[0] == 'y' || line[0] == 'Y';
}

/* ---- the line ---- */

static bool same(const struct sweep_setting *a, const struct sweep_setting *b) {
    return a->baud == b->baud && a->parity == b->parity && a->stop_bits == b->stop_bits;
}

static bool open_at(struct assign *assign, const struct sweep_setting *setting) {
    if (assign->client && (same(&assign->opened, setting) || assign->port.spec.kind != BUS_SERIAL))
        return true;
    bus_client_close(assign->client);
    field_port_set(&assign->port, setting);
    assign->opened = *setting;
    assign->client = field_open(&assign->port);
    return assign->client != NULL;
}

/* Does anybody answer there, intact or not? */
static bool somebody_at(struct assign *assign, const struct place *place) {
    struct bus_answer answer;
    const uint8_t *data;
    if (!open_at(assign, &place->setting))
        return false;
    for (unsigned i = 0; i < 2; i++) {
        enum frame_function function = i ? FC_READ_INPUT : FC_READ_HOLDING;
        (void)field_read(assign->client, place->unit_id, function, 0, 1, TIMEOUT_US, &answer, &data);
        if (answer.status == BUS_ANSWERED || answer.status == BUS_CORRUPT)
            return true;
    }
    return false;
}

static void fit_at(struct assign *assign, const struct place *place, struct fit *ret_fit) {
    struct field_cache *cache = calloc(1, sizeof(*cache));
    CHECK(cache);
    cache->client = assign->client;
    cache->unit_id = place->unit_id;
    cache->timeout_us = TIMEOUT_US;
    if (open_at(assign, &place->setting)) {
        cache->client = assign->client;
        field_fit(cache, assign->profile, &assign->arena, ret_fit);
    }
    free(cache);
}

static const char *place_text(char buffer[48], const struct place *place) {
    char setting[FIELD_SETTING_SIZE];
    (void)snprintf(buffer, 48, "unit %u at %s", place->unit_id, field_setting_text(setting, &place->setting));
    return buffer;
}

/* ---- find ---- */

/* The one device of the line, wherever it is; false: none, or more than one, and it was said. */
static bool search(struct assign *assign) {
    struct sweep *sweep = malloc(sizeof(*sweep));
    struct sweep_ask ask;
    unsigned found = 0, several = 0;
    CHECK(sweep);
    (void)printf("Not at its factory settings. Searching the usual speeds; this takes up to two minutes, Ctrl-C ends it ...\n");
    (void)fflush(stdout);
    sweep_init(sweep, field_usual, FIELD_USUAL_COUNT, 1, 247, 0);
    while (!field_interrupted() && found < 2 && several == 0 && sweep_next(sweep, &ask)) {
        struct bus_answer answer;
        const uint8_t *data;
        if (!open_at(assign, &field_usual[ask.setting]))
            break;
        if (found && !same(&field_usual[ask.setting], &assign->now.setting))
            break; /* its own speed has been looked through */
        uint64_t strays = bus_client_strays(assign->client);
        (void)field_read(assign->client, ask.unit_id, ask.function, 0, 1, ask.timeout_us, &answer, &data);
        if (answer.status == BUS_DISCONNECTED)
            break;
        enum sweep_result result = sweep_note(sweep, answer.status, answer.turnaround_us, bus_client_strays(assign->client) > strays);
        several += result == SWEEP_SEVERAL;
        if (result == SWEEP_FOUND && ++found == 1)
            assign->now = (struct place){field_usual[ask.setting], ask.unit_id};
    }
    free(sweep);
    if (found == 1 && several == 0)
        return true;
    if (found + several > 0)
        (void)fprintf(stderr, "yanhuo assign: more than one device answers on this line\n"
                              "  Disconnect all but the new one and try again, or name its present unit id with --from and --at-baud.\n");
    else
        (void)fprintf(stderr, "yanhuo assign: no device answers\n"
                              "  Check: power at the device, A and B not swapped, common ground. `yanhuo scan` tries more speeds.\n");
    return false;
}

static bool find(struct assign *assign) {
    char text[48];
    if (!somebody_at(assign, &assign->now) && (!assign->client || !search(assign)))
        return false;
    (void)printf("Found: %s\n", place_text(text, &assign->now));
    if (!open_at(assign, &assign->now.setting))
        return false;
    if (assign->port.spec.kind == BUS_SERIAL && field_is_several(assign->client, assign->now.unit_id, TIMEOUT_US)) {
        (void)fprintf(stderr,
                      "yanhuo assign: two or more devices answer as %s\n"
                      "  All of them would get the new unit id. Connect only one of them and try again.\n",
                      text);
        return false;
    }
    return true;
}

/* ---- refuse ---- */

static bool target_is_free(struct assign *assign) {
    char text[48];
    struct place here = {assign->now.setting, assign->target.unit_id};
    const struct place *places[] = {&here, &assign->target};
    for (unsigned i = 0; i < (same(&here.setting, &assign->target.setting) ? 1u : 2u); i++) {
        if (places[i]->unit_id == assign->now.unit_id || !somebody_at(assign, places[i]))
            continue;
        (void)fprintf(stderr,
                      "yanhuo assign: %s is taken: a device answers there\n"
                      "  Two devices with one unit id cannot be told apart. Choose another --to, or disconnect that device.\n",
                      place_text(text, places[i]));
        return false;
    }
    return true;
}

static bool is_the_profile(struct assign *assign) {
    char bytes[FIELD_TEXT_SIZE], text[48];
    struct text values;
    struct fit fit = {.profile = assign->profile};
    fit_at(assign, &assign->now, &fit);
    if (fit.answered == 0 || fit.refused > 0 || fit.address < 0) {
        (void)fprintf(stderr,
                      "yanhuo assign: what answers as %s is no %s: %s\n"
                      "  Writing to an unknown register could change something else. `yanhuo scan` tells which profiles fit.\n",
                      place_text(text, &assign->now), assign->profile->name,
                      fit.address < 0 ? "its address register does not hold its unit id" : "it does not have the profile's registers");
        return false;
    }
    text_init(&values, bytes, sizeof(bytes));
    fit_add_values(&fit, &values);
    (void)printf("Looks like %s: %s\n", assign->profile->name, fit.shown_count ? bytes : "all registers are there");
    return true;
}

/* ---- write ---- */

/* Function 6; devices that know only 16 say so. No answer is no failure: what counts is where the device is afterwards. False:
 * refused, and it was said. */
static bool write_register(struct assign *assign, const struct place *place, uint16_t address, uint16_t value) {
    struct bus_request request = {.unit_id = place->unit_id, .timeout_us = TIMEOUT_US};
    struct bus_answer answer;
    if (!open_at(assign, &place->setting))
        return false;
    frame_write_register(&request.pdu, address, value);
    bus_client_ask(assign->client, &request, &answer);
    if (answer.status == BUS_ANSWERED && answer.pdu.size == 2 && answer.pdu.bytes[1] == 1) {
        frame_write_registers(&request.pdu, address, &value, 1);
        bus_client_ask(assign->client, &request, &answer);
    }
    if (answer.status != BUS_ANSWERED || answer.pdu.size != 2)
        return true;
    (void)fprintf(stderr,
                  "yanhuo assign: the device refused to write register 0x%04X: exception %u, %s\n"
                  "  Some need a switch, a menu or a password to allow it, see the manual.\n",
                  address, answer.pdu.bytes[1], frame_exception_name(answer.pdu.bytes[1]));
    return false;
}

static void pause_us(struct assign *assign, int64_t length_us) {
    uint8_t bytes[FRAME_SIZE];
    int64_t until_us = now_mono_us() + length_us;
    while (assign->client && assign->port.spec.kind == BUS_SERIAL && now_mono_us() < until_us &&
           bus_client_hear(assign->client, bytes, sizeof(bytes), until_us) >= 0)
        ;
}

/* Where is it now: the first of the places at which somebody answers. */
static bool look(struct assign *assign, const struct place *places, unsigned count) {
    for (unsigned i = 0; i < LOOKS_MAX && !field_interrupted(); i++) {
        pause_us(assign, SETTLE_US);
        for (unsigned p = 0; p < count; p++)
            if (somebody_at(assign, &places[p])) {
                assign->now = places[p];
                return true;
            }
    }
    return false;
}

static bool lost(const struct assign *assign) {
    char text[48];
    (void)fprintf(stderr,
                  "yanhuo assign: after the write the device answers neither at its old settings nor at the new ones\n"
                  "  Switch its power off and on, then look for it: yanhuo scan %s    (it should be %s)\n",
                  assign->port.spec.name, place_text(text, &assign->target));
    return false;
}

static bool write_all(struct assign *assign) {
    uint16_t code;
    if (assign->now.unit_id != assign->target.unit_id) {
        struct place places[] = {{assign->now.setting, assign->target.unit_id}, assign->now};
        (void)printf("Writing unit id %u ...\n", assign->target.unit_id);
        if (!write_register(assign, &assign->now, assign->profile->address_register.address, assign->target.unit_id))
            return false;
        if (!look(assign, places, ARRAY_COUNT(places)))
            return lost(assign);
    }
    if (!same(&assign->now.setting, &assign->target.setting)) {
        struct place places[] = {
            assign->target, {assign->target.setting, assign->now.unit_id}, assign->now, {assign->now.setting, assign->target.unit_id}};
        CHECK(profile_baud_code(assign->profile, assign->target.setting.baud, &code));
        (void)printf("Writing speed %u (code %u) ...\n", (unsigned)assign->target.setting.baud, code);
        if (!write_register(assign, &assign->now, assign->profile->baud_register.address, code))
            return false;
        if (!look(assign, places, ARRAY_COUNT(places)))
            return lost(assign);
    }
    return true;
}

static bool arrived(const struct assign *assign) {
    return assign->now.unit_id == assign->target.unit_id && same(&assign->now.setting, &assign->target.setting);
}

/* The registers may hold the new values and the device still speak with the old ones. */
static bool wants_power_cycle(struct assign *assign) {
    struct place places[] = {assign->target, assign->now};
    char text[48];
    struct bus_answer answer;
    const uint8_t *data;
    bool kept =
        open_at(assign, &assign->now.setting) &&
        field_read(assign->client, assign->now.unit_id, FC_READ_HOLDING, assign->profile->address_register.address, 1, TIMEOUT_US, &answer, &data) &&
        (data[0] << 8 | data[1]) == assign->target.unit_id;
    (void)printf("It still speaks as %s%s.\n", place_text(text, &assign->now),
                 kept ? ", but keeps the new unit id: it takes it at its next start" : "");
    if (assign->yes || !confirm(assign, "Switch the device's power off and on, wait until it is ready, then press", false)) {
        (void)fprintf(stderr,
                      "yanhuo assign: not verified\n"
                      "  Switch the device's power off and on, then check with: yanhuo probe %s %u 0 --baud %u\n",
                      assign->port.spec.name, assign->target.unit_id, (unsigned)assign->target.setting.baud);
        return false;
    }
    return look(assign, places, ARRAY_COUNT(places)) && arrived(assign);
}

static bool verify(struct assign *assign) {
    char bytes[FIELD_TEXT_SIZE], text[48];
    struct text values;
    struct fit fit = {.profile = assign->profile};
    if (!arrived(assign) && !wants_power_cycle(assign)) {
        if (!assign->yes)
            (void)fprintf(stderr, "yanhuo assign: the device did not take the new settings\n"
                                  "  Some need a switch or a menu to allow it, see the manual.\n");
        return false;
    }
    fit_at(assign, &assign->target, &fit);
    if (fit.answered == 0) {
        (void)fprintf(stderr, "yanhuo assign: %s answers, but gives no value\n", place_text(text, &assign->target));
        return false;
    }
    text_init(&values, bytes, sizeof(bytes));
    fit_add_values(&fit, &values);
    (void)printf("Done: %s: %s\n\nWrite the unit id on the device. For the configuration:\n\nbuses:\n", place_text(text, &assign->target),
                 fit.shown_count ? bytes : "answers");
    field_port_set(&assign->port, &assign->target.setting);
    field_print_bus(&assign->port, "line");
    (void)printf("devices:\n");
    field_print_device(assign->profile, "line", assign->target.unit_id);
    return true;
}

/* ---- prepare ---- */

static bool profile_can(const struct assign *assign, bool baud_wanted) {
    const struct profile *profile = assign->profile;
    uint16_t code;
    if (!profile->address_register.known || profile->address_register.coil) {
        (void)fprintf(stderr,
                      "yanhuo assign: the profile %s names no register for the unit id\n"
                      "  Set it at the device: look for switches (DIP or rotary), keys with a menu, or the maker's own program.\n"
                      "  If its manual names a register, add it to %s:\n"
                      "    address_register: {write: holding, address: 0x....}\n"
                      "  Source of the profile: %s\n",
                      profile->name, profile->path, profile->source);
        return false;
    }
    if (!baud_wanted || profile_baud_code(profile, assign->target.setting.baud, &code))
        return true;
    (void)fprintf(stderr, "yanhuo assign: %s cannot be set to %u baud: ", profile->name, (unsigned)assign->target.setting.baud);
    if (profile->bauds_count == 0)
        (void)fprintf(stderr, "its profile names no register for the speed; leave --baud out, or set it at the device\n");
    else
        (void)fprintf(stderr, "it knows");
    for (unsigned i = 0; i < profile->bauds_count; i++)
        (void)fprintf(stderr, "%s %u", i ? "," : "", (unsigned)profile->bauds[i].baud);
    (void)fprintf(stderr, "%s", profile->bauds_count ? "\n" : "");
    return false;
}

static int assign_run(struct assign *assign) {
    char from[48], to[48], question[160];
    if (!assign->yes && !isatty(STDIN_FILENO)) {
        (void)fprintf(stderr, "yanhuo assign: there is nobody to ask on standard input; a script says --yes\n");
        return 2;
    }
    field_catch_interrupt();
    (void)snprintf(question, sizeof(question), "Connect only the new device (%s) to %s and switch it on, then press", assign->profile->name,
                   assign->port.spec.name);
    if (!confirm(assign, question, false) || !find(assign))
        return 1;
    uint32_t baud = assign->target.setting.baud;
    assign->target.setting = assign->now.setting; /* nothing but the speed changes */
    if (baud)
        assign->target.setting.baud = baud;
    if (!is_the_profile(assign) || !target_is_free(assign))
        return 1;
    if (arrived(assign))
        (void)printf("It has this unit id and speed already; nothing is written.\n");
    (void)snprintf(question, sizeof(question), "Change %s to %s?", place_text(from, &assign->now), place_text(to, &assign->target));
    if (!arrived(assign) && !confirm(assign, question, true)) {
        (void)printf("Nothing was written.\n");
        return 1;
    }
    return write_all(assign) && verify(assign) ? 0 : 1;
}

struct options {
    const char *profile, *profiles, *to, *from, *baud, *at_baud;
    bool yes;
};

static int understand(struct assign *assign, const char *port, const struct options *options) {
    uint64_t to, from = 0, baud = 0, at_baud = 0;
    if (!field_port_read(&assign->port, "assign", port) || !field_number_read("assign", "--to", options->to, 1, 247, &to) ||
        (options->from && !field_number_read("assign", "--from", options->from, 0, 255, &from)) ||
        (options->baud && !field_number_read("assign", "--baud", options->baud, 300, 1000000, &baud)) ||
        (options->at_baud && !field_number_read("assign", "--at-baud", options->at_baud, 300, 1000000, &at_baud)))
        return 2;
    if (assign->port.spec.kind != BUS_SERIAL && (baud || at_baud)) {
        (void)fprintf(stderr, "yanhuo assign: a speed cannot be set over a network; connect the device to a serial port\n");
        return 2;
    }
    assign->profile = field_profile_load("assign", options->profiles, options->profile, &assign->arena);
    if (!assign->profile)
        return 2;
    const struct profile *profile = assign->profile;
    uint32_t factory = profile->factory_baud ? profile->factory_baud : 9600;
    assign->yes = options->yes;
    assign->now.setting = (struct sweep_setting){at_baud ? (uint32_t)at_baud : factory, profile->factory_parity, profile->factory_stop_bits};
    assign->now.unit_id = options->from ? (uint8_t)from : profile->factory_unit_id;
    assign->target = (struct place){{(uint32_t)baud, PARITY_NONE, 1}, (uint8_t)to};
    return profile_can(assign, baud != 0) ? assign_run(assign) : 1;
}

int command_assign(int argc, char **argv) {
    static const struct option names[] = {
        {"profile", required_argument, NULL, 'p'}, {"profiles", required_argument, NULL, 'd'}, {"to", required_argument, NULL, 't'},
        {"from", required_argument, NULL, 'f'},    {"baud", required_argument, NULL, 'b'},     {"at-baud", required_argument, NULL, 'a'},
        {"yes", no_argument, NULL, 'y'},           {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    struct options options = {0};
    struct assign assign = {.client = NULL};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "b:yh", names, NULL)) != -1;) {
        const char **texts[] = {['p'] = &options.profile, ['d'] = &options.profiles, ['t'] = &options.to,
                                ['f'] = &options.from,    ['b'] = &options.baud,     ['a'] = &options.at_baud};
        if (option == 'y')
            options.yes = true;
        else if (option < (int)ARRAY_COUNT(texts) && texts[option])
            *texts[option] = optarg;
        else {
            (void)fputs(usage_text, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (optind + 1 != argc || !options.profile || !options.to) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    arena_init(&assign.arena);
    int status = understand(&assign, argv[optind], &options);
    bus_client_close(assign.client);
    arena_done(&assign.arena);
    return status;
}
