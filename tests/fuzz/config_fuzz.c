/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration, or a profile when it begins with "profile:", of any bytes.
 *  1. There is a configuration exactly when there is no error; each message is one line of valid UTF-8 that stands inside the file.
 *  2. What is accepted can run: every index leads somewhere, every point decodes and encodes zeros, every alarm is one that alarm_check
 *     accepts, and every bus has a poller.
 *
 * Input: the file. Its profiles are those of tests/vectors/config. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/load.h"
#include "config/profile.h"
#include "fuzz.h"
#include "gateway/core/alarm.h"
#include "json.h"
#include "sensors/decode.h"
#include "sensors/poller.h"

static void check_messages(const struct diagnostics *diagnostics, const uint8_t *bytes, size_t size, const char *path) {
    unsigned lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n' || bytes[i] == '\r';
    PROPERTY(diagnostics->count <= DIAGNOSTICS_MAX);
    PROPERTY(diagnostics->errors + diagnostics->warnings == diagnostics->count + diagnostics->suppressed);
    for (unsigned i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *item = &diagnostics->items[i];
        PROPERTY(item->text && item->text[0] && json_is_utf8(item->text, strlen(item->text)));
        for (const char *c = item->text; *c; c++)
            PROPERTY((unsigned char)*c >= 0x20 && *c != 0x7F);
        if (item->file && strcmp(item->file, path) == 0) /* YAML knows three more line breaks, of three bytes or two */
            PROPERTY(item->line <= lines + size / 2 + 1);
    }
}

static void check_points(const struct point *points, uint16_t count) {
    static const uint8_t zeros[64];
    for (uint16_t i = 0; i < count; i++) {
        const struct point *point = &points[i];
        struct reading reading = {.point = i};
        struct value one = {.kind = VALUE_INTEGER, .integer = 1};
        uint16_t registers[16];
        PROPERTY(point->name && point->unit && point->registers >= 1 && point->registers <= 15);
        PROPERTY((uint32_t)point->address + point->registers <= 0x10000);
        PROPERTY(!point->bit_field || (point->bit_count >= 1 && point->bit_first + point->bit_count <= 16 * point->registers));
        decode_point(point, zeros, sizeof(zeros), point->address, point->registers, &reading);
        fuzz_check_reading(point, &reading);
        (void)!decode_encode(point, &one, registers);
    }
}

/* Prefix order: the first term spans all of them, every group ends with its last member, every leaf leads somewhere. */
static void check_terms(const struct config *config, const struct config_alarm *rule) {
    PROPERTY(rule->terms_count <= TERMS_PER_ALARM_MAX && rule->first_term + rule->terms_count <= config->terms_count);
    const struct config_term *terms = &config->terms[rule->first_term];
    PROPERTY(!rule->terms_count || terms[0].span == rule->terms_count);
    for (uint16_t i = 0; i < rule->terms_count; i++) {
        const struct config_term *term = &terms[i];
        uint16_t end = (uint16_t)(i + term->span), at = (uint16_t)(i + 1), members = 0;
        PROPERTY(end <= rule->terms_count);
        for (; at < end; members++)
            at = (uint16_t)(at + terms[at].span);
        PROPERTY(at == end && (term->kind >= TERM_ALL ? members >= 1 : members == 0) && (term->kind != TERM_NOT || members == 1));
        if (term->kind == TERM_OPEN)
            PROPERTY(term->place < config->places_count);
        else if (term->kind < TERM_ALL)
            PROPERTY(term->device < config->devices_count && term->point < config->devices[term->device].spec.points_count);
    }
}

/* Inputs come before what is computed from them, and are as urgent. */
static void check_derived(const struct config *config) {
    uint32_t derived_points = 0;
    for (uint16_t d = 0; d < config->devices_count; d++)
        for (uint16_t i = 0; i < config->devices[d].spec.points_count; i++) {
            derived_points += config->devices[d].spec.points[i].derived;
            PROPERTY(i == 0 || config->devices[d].spec.points[i].derived >= config->devices[d].spec.points[i - 1].derived);
        }
    PROPERTY(derived_points == config->derived_count);
    for (uint16_t i = 0; i < config->derived_count; i++) {
        const struct config_derived *rule = &config->derived[i];
        const struct point *result = config_point(config, rule->device, rule->point);
        PROPERTY(result->derived && rule->inputs_count >= 1 && rule->inputs_count <= DERIVED_INPUTS_MAX && !result->writable);
        for (unsigned k = 0; k < rule->inputs_count; k++) {
            const struct point *input = config_point(config, rule->inputs[k].device, rule->inputs[k].point);
            bool before = !input->derived;
            for (uint16_t j = 0; j < i; j++)
                before = before || (config->derived[j].device == rule->inputs[k].device && config->derived[j].point == rule->inputs[k].point);
            PROPERTY(before && input->class <= result->class && input->every_ms >= result->every_ms && input->feeds_action >= result->feeds_action);
        }
    }
}

static void check_alarms(const struct config *config) {
    for (uint16_t i = 0; i < config->alarms_count; i++) {
        const struct config_alarm *rule = &config->alarms[i];
        struct alarm alarm;
        PROPERTY(rule->name && rule->zh && rule->en && rule->device < config->devices_count);
        PROPERTY((rule->point == CONFIG_NONE) == (rule->condition >= CONDITION_COMMUNICATION));
        PROPERTY((rule->terms_count > 0) == (rule->condition == CONDITION_COMPOSITE));
        PROPERTY((rule->action != CONFIG_NONE) == (rule->condition == CONDITION_ACTION));
        PROPERTY(rule->action == CONFIG_NONE || config->actions[rule->action].device == rule->device);
        PROPERTY(rule->class != CLASS_FIRE || (!rule->shelf && !rule->auto_acknowledge && rule->suppressed_by == CONFIG_NONE));
        PROPERTY(rule->suppressed_by == CONFIG_NONE || (rule->suppressed_by < config->alarms_count && rule->suppressed_by != i));
        check_terms(config, rule);
        PROPERTY(rule->point == CONFIG_NONE || rule->point < config->devices[rule->device].spec.points_count);
        alarm_init(&alarm, rule);
        alarm_check(&alarm);
    }
    for (uint16_t i = 0; i < config->actions_count; i++) {
        const struct config_action *action = &config->actions[i];
        PROPERTY(action->alarm < config->alarms_count && action->device < config->devices_count);
        PROPERTY(action->point < config->devices[action->device].spec.points_count);
        PROPERTY(config_point(config, action->device, action->point)->writable);
    }
}

static void check_buses(const struct config *config, struct arena *arena) {
    static struct trace trace;
    trace_init(&trace);
    for (uint16_t b = 0; b < config->buses_count; b++) {
        const struct device_spec *devices[DEVICES_PER_BUS_MAX];
        uint16_t count = 0;
        for (uint16_t d = 0; d < config->devices_count; d++)
            if (config->devices[d].bus == b) {
                PROPERTY(count < DEVICES_PER_BUS_MAX);
                devices[count++] = &config->devices[d].spec;
            }
        struct poller *poller;
        PROPERTY(config->buses[b].bus == b);
        if (count > 0)
            PROPERTY(poller_create(&config->buses[b], devices, count, arena, &trace, &poller) == ERR_OK);
    }
}

static void check_config(const struct config *config, struct arena *arena) {
    uint32_t points = 0;
    PROPERTY(config->gateway_id && config->timezone);
    for (uint16_t d = 0; d < config->devices_count; d++) {
        const struct config_device *device = &config->devices[d];
        PROPERTY(device->bus < config->buses_count && (device->place == CONFIG_NONE || device->place < config->places_count));
        PROPERTY(device->first_point == points && device->spec.device == d);
        points += device->spec.points_count;
        check_points(device->spec.points, device->spec.points_count);
        for (uint16_t i = 0; i < device->spec.points_count; i++)
            PROPERTY(device->spec.points[i].every_ms > 0); /* in a profile it may be left to the device's class */
    }
    PROPERTY(points == config->points_count);
    check_derived(config);
    check_alarms(config);
    check_buses(config, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct diagnostics *diagnostics = malloc(sizeof(*diagnostics));
    struct arena arena;
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC); /* has a path of its own and costs no disk */
    if (!diagnostics || fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    arena_init(&arena);
    diagnostics_init(diagnostics);
    if (size >= 8 && memcmp(bytes, "profile:", 8) == 0) {
        struct profile *profile = NULL;
        enum err err = profile_load(path, "meter", &arena, diagnostics, &profile);
        PROPERTY((err == ERR_OK) == (diagnostics->errors == 0));
        PROPERTY(err != ERR_OK || profile);
        if (err == ERR_OK)
            check_points(profile->points, profile->points_count);
    } else {
        const struct config *config = NULL;
        enum err err = config_load(path, PROFILES_DIR, &arena, diagnostics, &config);
        PROPERTY((err == ERR_OK) == (diagnostics->errors == 0) && (err == ERR_OK) == (config != NULL));
        if (config)
            check_config(config, &arena);
    }
    check_messages(diagnostics, bytes, size, path);
    diagnostics_done(diagnostics);
    free(diagnostics);
    arena_done(&arena);
    close(fd);
    return 0;
}
