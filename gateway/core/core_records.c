/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the core, one slot each, in this order: alarms, actions, derived points, commands, problems, what is no
 * longer configured (core_removed.c). */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "gateway/core/core_parts.h"

#define OWNER_ACTION ".action"
#define OWNER_COMMAND ".command"
#define OWNER_PROBLEM ".problem"

_Static_assert(ALARM_RECORD_SIZE <= RECORD_SIZE && PROBLEM_RECORD_SIZE <= RECORD_SIZE && DERIVED_RECORD_SIZE <= RECORD_SIZE, "a record fits");

static uint32_t first_action(const struct core *core) {
    return core->alarms_count;
}

static uint32_t first_derived(const struct core *core) {
    return first_action(core) + core->config->actions_count;
}

static uint32_t first_command(const struct core *core) {
    return first_derived(core) + core->config->derived_count;
}

static uint32_t first_problem(const struct core *core) {
    return first_command(core) + COMMANDS_KEPT;
}

static uint32_t first_removed(const struct core *core) {
    return first_problem(core) + PROBLEMS_MAX;
}

void core_records_init(struct core *core, struct arena *arena) {
    records_init(&core->records, first_removed(core) + REMOVED_MAX, arena);
    for (unsigned i = 0; i < ARRAY_COUNT(core->numbers); i++)
        snprintf(core->numbers[i], sizeof(core->numbers[i]), "%u", i);
}

/* ---- marking ---- */

void core_record_alarm(struct core *core, uint16_t alarm, uint64_t event_seq) {
    records_mark(&core->records, alarm, core_alarm_lane(core, alarm), event_seq);
}

void core_record_action(struct core *core, uint16_t action, uint16_t alarm, uint64_t event_seq) {
    records_mark(&core->records, first_action(core) + action, core_alarm_lane(core, alarm), event_seq);
}

void core_record_derived(struct core *core, uint16_t derived) {
    records_mark(&core->records, first_derived(core) + derived, LANE_EVENT, RECORDS_NO_EVENT);
}

void core_record_command(struct core *core, unsigned slot, uint64_t event_seq) {
    records_mark(&core->records, first_command(core) + slot, LANE_EVENT, event_seq);
}

void core_record_problem(struct core *core, unsigned problem, uint64_t event_seq) {
    records_mark(&core->records, first_problem(core) + problem, LANE_EVENT, event_seq);
}

void core_record_removed(struct core *core, uint16_t item, enum lane lane, uint64_t event_seq) {
    records_mark(&core->records, first_removed(core) + item, lane, event_seq);
}

/* ---- writing ---- */

static void put_command(const struct core *core, unsigned slot, struct record_save *save) {
    struct bytes_writer writer;
    *save = (struct record_save){.owner = OWNER_COMMAND, .name = core->numbers[slot]};
    bytes_writer_init(&writer, save->bytes, sizeof(save->bytes));
    bytes_put_u64(&writer, core->commands.kept[slot].hash);
    bytes_put_zigzag(&writer, core->commands.kept[slot].expires_ms);
    save->size = core->commands.kept[slot].expires_ms ? (uint16_t)writer.length : 0;
}

void core_record_put(void *context, uint32_t slot, struct record_save *ret_save) {
    const struct core *core = context;
    const struct config *config = core->config;
    if (slot < first_action(core)) {
        const struct config_alarm *rule = core->alarms[slot].alarm.rule;
        ret_save->owner = core_device_name(core, rule->device);
        ret_save->name = rule->name;
        ret_save->size = (uint16_t)alarm_record_put(&core->alarms[slot].alarm, ret_save->bytes);
    } else if (slot < first_derived(core)) {
        const struct action *action = &core->actions[slot - first_action(core)];
        ret_save->owner = OWNER_ACTION;
        ret_save->name = action->rule->name;
        ret_save->bytes[0] = 1;
        ret_save->size = action_wanted(action) ? 1 : 0;
    } else if (slot < first_command(core)) {
        uint32_t index = slot - first_derived(core);
        const struct config_derived *rule = &config->derived[index];
        ret_save->owner = core_device_name(core, rule->device);
        ret_save->name = core->derived.record_names[index];
        ret_save->size = (uint16_t)derived_record_put(&core->derived.items[index], ret_save->bytes);
    } else if (slot < first_problem(core)) {
        put_command(core, slot - first_command(core), ret_save);
    } else if (slot < first_removed(core)) {
        unsigned index = slot - first_problem(core);
        ret_save->owner = OWNER_PROBLEM;
        ret_save->name = core->numbers[index];
        ret_save->size = (uint16_t)problem_record_put(&core->problems.items[index], ret_save->bytes);
    } else {
        const struct core_removed_item *item = &core->removed.items[slot - first_removed(core)];
        *ret_save = (struct record_save){.owner = item->owner, .name = item->name, .size = 0};
    }
}

/* ---- reading, at start ---- */

static bool read_number(const char *name, unsigned below, unsigned *ret_number) {
    uint64_t number;
    if (!text_read_u64(name, &number) || number >= below)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static bool read_action(struct core *core, const struct store_record *record) {
    for (unsigned i = 0; i < core->config->actions_count; i++)
        if (strcmp(core->config->actions[i].name, record->name) == 0) {
            action_want(&core->actions[i]); /* the board may have lost it meanwhile */
            return true;
        }
    return false;
}

static bool read_command(struct core *core, const struct store_record *record) {
    struct bytes_reader reader;
    unsigned slot;
    bytes_reader_init(&reader, record->bytes, record->size);
    uint64_t hash = bytes_get_u64(&reader);
    int64_t expires_ms = bytes_get_zigzag(&reader);
    if (reader.failed || !read_number(record->name, COMMANDS_KEPT, &slot))
        return false;
    core->commands.kept[slot].hash = hash;
    core->commands.kept[slot].expires_ms = expires_ms;
    return true;
}

static bool read_derived(struct core *core, const struct store_record *record) {
    for (unsigned i = 0; i < core->config->derived_count; i++)
        if (strcmp(core->derived.record_names[i], record->name) == 0 &&
            strcmp(core_device_name(core, core->config->derived[i].device), record->owner) == 0)
            return derived_durable(&core->derived.items[i]) && derived_record_get(&core->derived.items[i], record->bytes, record->size);
    return false;
}

static bool read_record(struct core *core, const struct store_record *record) {
    unsigned slot;
    if (strcmp(record->owner, OWNER_ACTION) == 0)
        return read_action(core, record);
    if (strcmp(record->owner, OWNER_COMMAND) == 0)
        return read_command(core, record);
    if (strcmp(record->owner, OWNER_PROBLEM) == 0)
        return read_number(record->name, PROBLEMS_MAX, &slot) && problem_record_get(&core->problems.items[slot], record->bytes, record->size);
    if (record->name[0] == '.')
        return read_derived(core, record);
    uint16_t alarm = core_find_alarm(core, record->owner, record->name);
    return alarm != CONFIG_NONE && alarm_record_get(&core->alarms[alarm].alarm, record->bytes, record->size);
}

void core_records_on_start(struct core *core, const struct now *now, const struct store_image *image) {
    for (uint32_t i = 0; i < image->records_count; i++) {
        const struct store_record *record = &image->records[i];
        bool alarm = record->owner[0] != '.' && record->name[0] != '.';
        if (read_record(core, record))
            continue;
        if ((alarm && core_find_alarm(core, record->owner, record->name) == CONFIG_NONE) || strcmp(record->owner, OWNER_ACTION) == 0)
            core_removed_note(core, record);
        else if (alarm)
            trace_add(core->trace, now->mono_us, TRACE_ERROR, "alarm %s/%s has a damaged record: it starts as normal and is judged anew", record->owner,
                      record->name);
        else
            trace_add(core->trace, now->mono_us, TRACE_WARNING, "%s/%s is no longer configured: its record is left alone", record->owner,
                      record->name);
    }
    if (core->removed.left)
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "%u more alarms are no longer configured: they are told after the next start",
                  core->removed.left);
}
