/* SPDX-License-Identifier: Apache-2.0 */
#include "core_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void start(struct core_rig *rig, struct now now) {
    arena_init(&rig->arena);
    trace_init(&rig->trace);
    memset(&rig->counters, 0, sizeof(rig->counters));
    core_init(&rig->core, &rig->site.config, &rig->site.directory, &rig->arena, &rig->trace, &rig->counters);
    core_on_clock(&rig->core, &now);
    core_on_start(&rig->core, &now, ++rig->start, &rig->site.image);
    rig->running = true;
}

struct core_rig *core_rig_begin(void (*change)(struct site *site)) {
    struct core_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    site_init(&rig->site);
    if (change)
        change(&rig->site);
    rig->start = 0xAA;
    start(rig, site_now(0));
    core_rig_step(rig, 0);
    return rig;
}

void core_rig_end(struct core_rig *rig) {
    core_check(&rig->core);
    arena_done(&rig->arena);
    free(rig);
}

void core_rig_cut(struct core_rig *rig, int64_t ms, bool trusted) {
    struct store_image *image = &rig->site.image;
    struct now now = site_now(ms);
    core_check(&rig->core);
    image->next_seq = rig->core.journal.next_seq + 10;
    image->records = rig->stored;
    image->records_count = 0;
    arena_done(&rig->arena);
    for (unsigned i = 0; i < rig->records_count; i++) {
        const struct core_rig_record *record = &rig->records[i];
        if (record->size)
            rig->stored[image->records_count++] =
                (struct store_record){.owner = record->owner, .name = record->name, .bytes = record->bytes, .size = record->size};
    }
    rig->writes_count = 0;
    now.wall_trusted = trusted;
    start(rig, now);
}

/* ---- one step ---- */

static void save(struct core_rig *rig, enum lane lane, const struct record_save *save) {
    unsigned i = 0;
    while (i < rig->records_count && (strcmp(rig->records[i].owner, save->owner) != 0 || strcmp(rig->records[i].name, save->name) != 0))
        i++;
    assert_true(i < CORE_RIG_RECORDS_MAX);
    rig->records_count += i == rig->records_count;
    struct core_rig_record *record = &rig->records[i];
    snprintf(record->owner, sizeof(record->owner), "%s", save->owner);
    snprintf(record->name, sizeof(record->name), "%s", save->name);
    memcpy(record->bytes, save->bytes, save->size);
    record->size = save->size;
    record->lane = lane;
}

static void carry_out(struct core_rig *rig, const struct now *now) {
    for (unsigned i = 0; i < rig->effects.count; i++) {
        const struct effect *effect = &rig->effects.items[i];
        if (effect->kind == EFFECT_WRITE) {
            assert_true(rig->writes_count < 16);
            rig->writes[rig->writes_count++] = effect->write.command;
        }
        if (effect->kind != EFFECT_STORE)
            continue;
        for (unsigned k = 0; k < effect->store.records_count; k++)
            save(rig, effect->store.lane, &effect->store.records[k]);
        struct event event = {.kind = EVENT_STORED, .now = *now};
        event.stored.lane = effect->store.lane;
        event.stored.last_seq = effect->store.last_seq;
        core_on_stored(&rig->core, &event);
    }
}

static void step(struct core_rig *rig, const struct now *now) {
    const struct trace_line *line;
    size_t length = strlen(rig->said);
    core_on_time(&rig->core, now);
    do {
        rig->effects.count = 0;
        rig->effects.bytes_used = 0;
        rig->effects.full = false;
        core_pump_writes(&rig->core, now, &rig->effects);
        core_pump_store(&rig->core, now, &rig->effects);
        carry_out(rig, now);
    } while (rig->effects.count);
    core_check(&rig->core);
    assert_int_equal(rig->trace.dropped, 0);
    while (trace_take(&rig->trace, &line)) {
        int room = (int)(sizeof(rig->said) - length);
        length += (size_t)snprintf(rig->said + length, (size_t)room, "%s\n", line->text);
        assert_true(length < sizeof(rig->said));
    }
}

void core_rig_step(struct core_rig *rig, int64_t ms) {
    struct now now = site_now(ms);
    step(rig, &now);
}

static void poll(struct core_rig *rig, int64_t ms, struct polled *polled) {
    polled->status = BUS_ANSWERED;
    polled->device_state = DEVICE_ONLINE;
    polled->now = site_now(ms);
    core_on_polled(&rig->core, polled);
    core_rig_step(rig, ms);
}

void core_rig_poll(struct core_rig *rig, int64_t ms, uint16_t device, uint16_t point, double value) {
    struct polled polled = {.device = device, .count = 1};
    polled.readings[0] = (struct reading){.point = point, .value = {.kind = VALUE_NUMBER, .number = value}};
    poll(rig, ms, &polled);
}

void core_rig_poll_bad(struct core_rig *rig, int64_t ms, uint16_t device, uint16_t point) {
    struct polled polled = {.device = device, .count = 1};
    polled.readings[0] = (struct reading){.point = point, .quality = QUALITY_BAD, .reason = REASON_EXCEPTION};
    poll(rig, ms, &polled);
}

void core_rig_poll_many(struct core_rig *rig, int64_t ms, uint16_t device, const double *values, unsigned count) {
    struct polled polled = {.device = device, .count = (uint16_t)count};
    for (unsigned i = 0; i < count; i++)
        polled.readings[i] = (struct reading){.point = (uint16_t)i, .value = {.kind = VALUE_NUMBER, .number = values[i]}};
    poll(rig, ms, &polled);
}

void core_rig_device(struct core_rig *rig, int64_t ms, uint16_t device, enum device_state state) {
    struct polled polled = {.device = device, .device_state = state, .now = site_now(ms)};
    polled.status = state == DEVICE_DEAD ? BUS_TIMEOUT : BUS_ANSWERED;
    core_on_polled(&rig->core, &polled);
    core_rig_step(rig, ms);
}

void core_rig_write_ends(struct core_rig *rig, int64_t ms, bool ok) {
    assert_true(rig->writes_count > 0);
    struct write_command write = rig->writes[0];
    memmove(rig->writes, rig->writes + 1, --rig->writes_count * sizeof(write));
    struct written written = {.id = write.id, .device = write.device, .point = write.point, .ok = ok, .now = site_now(ms)};
    written.status = ok ? BUS_ANSWERED : BUS_TIMEOUT;
    core_on_written(&rig->core, &written);
    core_rig_step(rig, ms);
}

/* ---- commands ---- */

struct command core_rig_command(struct core_rig *rig, int64_t ms, enum command_verb verb, const char *target) {
    struct now now = site_now(ms);
    struct command command = {.verb = verb,
                              .channel = CHANNEL_SOCKET,
                              .peer = "socket uid 0",
                              .authorised = true,
                              .by = "W",
                              .issued_ms = now.wall_ms,
                              .expires_ms = now.wall_ms + 60000};
    const char *slash = strchr(target, '/');
    snprintf(command.id, sizeof(command.id), "c-%llu", (unsigned long long)++rig->commands);
    snprintf(command.device, sizeof(command.device), "%.*s", slash ? (int)(slash - target) : 63, target);
    command.fields |= command.device[0] ? FIELD_DEVICE : 0;
    if (slash) {
        snprintf(command.alarm, sizeof(command.alarm), "%s", slash + 1);
        command.fields |= FIELD_ALARM;
    }
    return command;
}

bool core_rig_ask(struct core_rig *rig, int64_t ms, const struct command *command) {
    struct now now = site_now(ms);
    core_on_command(&rig->core, &now, command, &rig->outcome);
    assert_true(rig->outcome.ok == (rig->outcome.event_seq != 0));
    assert_true(rig->outcome.ok != (rig->outcome.why[0] != '\0'));
    core_rig_step(rig, ms);
    return rig->outcome.ok;
}

bool core_rig_do(struct core_rig *rig, int64_t ms, enum command_verb verb, const char *target) {
    struct command command = core_rig_command(rig, ms, verb, target);
    if (verb == COMMAND_SHELVE || verb == COMMAND_OUT_OF_SERVICE) {
        command.fields |= FIELD_REASON | FIELD_UNTIL;
        snprintf(command.reason, sizeof(command.reason), "welding");
        command.until_ms = site_now(ms).wall_ms + 600000;
    }
    if (verb == COMMAND_OUT_OF_SERVICE) {
        command.fields |= FIELD_ON;
        command.on = true;
    }
    return core_rig_ask(rig, ms, &command);
}

/* ---- looking ---- */

enum alarm_state core_rig_state(const struct core_rig *rig, uint16_t alarm) {
    return rig->core.alarms[alarm].alarm.state;
}

void core_rig_hush(struct core_rig *rig) {
    rig->said[0] = '\0';
}

bool core_rig_said(const struct core_rig *rig, const char *words) {
    return strstr(rig->said, words) != NULL;
}

unsigned core_rig_count(const struct core_rig *rig, enum entry_kind kind, uint64_t from_seq, struct entry *ret_newest) {
    unsigned count = 0;
    struct entry entry, newest = {.seq = 0};
    for (enum lane lane = LANE_FIRE; lane <= LANE_EVENT; lane++)
        for (uint64_t seq = from_seq; journal_find(&rig->core.journal, lane, seq, rig->core.uplinks_mask, &entry); seq = entry.seq + 1) {
            count += entry.kind == kind;
            if (entry.kind == kind && entry.seq > newest.seq)
                newest = entry;
        }
    if (ret_newest)
        *ret_newest = newest;
    return count;
}

enum lane core_rig_record_lane(const struct core_rig *rig, const char *owner, const char *name) {
    for (unsigned i = 0; i < rig->records_count; i++)
        if (strcmp(rig->records[i].owner, owner) == 0 && strcmp(rig->records[i].name, name) == 0)
            return rig->records[i].lane;
    fail_msg("there never was a record %s/%s", owner, name);
    return LANES_COUNT;
}

const struct core_rig_record *core_rig_record(const struct core_rig *rig, const char *owner, const char *name) {
    for (unsigned i = 0; i < rig->records_count; i++)
        if (rig->records[i].size && strcmp(rig->records[i].owner, owner) == 0 && strcmp(rig->records[i].name, name) == 0)
            return &rig->records[i];
    return NULL;
}

struct alarm_event core_rig_newest_alarm(const struct core_rig *rig) {
    struct entry entry;
    struct alarm_event event = {.state = 0};
    assert_true(core_rig_count(rig, ENTRY_ALARM, 1, &entry) > 0 && entry_get_alarm(&entry, &event));
    return event;
}

bool core_rig_retained(struct core_rig *rig, uint16_t alarm) {
    bool changed = false;
    for (unsigned i = 0; i < rig->core.changed_count; i++)
        changed = changed || rig->core.changed[i] == alarm;
    core_changed_clear(&rig->core);
    return changed;
}
