/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/describe.h"

#include <stdio.h>
#include <string.h>

#include "gateway/core/core.h"

static const char *condition_name(enum condition_kind condition) {
    switch (condition) {
    case CONDITION_ABOVE:
        return "above";
    case CONDITION_BELOW:
        return "below";
    case CONDITION_EQUAL:
        return "equal";
    case CONDITION_COMMUNICATION:
        return "communication";
    case CONDITION_COMPOSITE:
        return "composite";
    case CONDITION_ACTION:
        return "action";
    }
    return "unknown";
}

const char *priority_name(enum priority priority) {
    switch (priority) {
    case PRIORITY_LOW:
        return "low";
    case PRIORITY_MEDIUM:
        return "medium";
    case PRIORITY_HIGH:
        return "high";
    }
    return "unknown";
}

void describe_value(struct text *text, const struct value *value) {
    switch (value->kind) {
    case VALUE_NONE:
        text_add(text, "null");
        return;
    case VALUE_NUMBER:
        text_add_double(text, value->number);
        return;
    case VALUE_INTEGER:
        text_add_s64(text, value->integer);
        return;
    case VALUE_UNSIGNED: /* past what a JSON reader holds exactly: as text */
        text_add_char(text, '"');
        text_add_u64(text, value->whole);
        text_add_char(text, '"');
        return;
    case VALUE_TEXT:
        text_add_json(text, value->text);
        return;
    }
}

#define COPY(field, source) ((void)text_copy(field, sizeof(field), source))

static void describe_place(const struct config *config, const struct config_device *device, struct alarm_event *event) {
    COPY(event->location, device->location);
    if (device->place == CONFIG_NONE)
        return;
    const struct config_place *place = &config->places[device->place];
    COPY(event->place, place->key);
    COPY(event->place_name, place->name);
    COPY(event->address, place->address);
    COPY(event->phone, place->phone);
}

void describe_alarm(const struct config *config, const struct alarm *alarm, enum alarm_cause cause, struct alarm_event *ret_event) {
    const struct config_alarm *rule = alarm->rule;
    const struct config_device *device = rule->device == CONFIG_NONE ? NULL : &config->devices[rule->device]; /* NULL: the gateway itself */
    memset(ret_event, 0, sizeof(*ret_event));
    COPY(ret_event->device, device ? device->spec.name : CORE_GATEWAY);
    COPY(ret_event->alarm, rule->name);
    ret_event->occurrence_start = alarm->occurrence_start;
    ret_event->occurrence_seq = alarm->occurrence_seq;
    ret_event->class = (uint8_t)rule->class;
    ret_event->priority = (uint8_t)alarm_priority(alarm);
    ret_event->state = (uint8_t)alarm->state;
    ret_event->cause = (uint8_t)cause;
    COPY(ret_event->condition, condition_name(rule->condition));
    ret_event->value = alarm->value;
    const struct config_term *limit = config_limit_term(config, rule); /* a composite shows its first */
    if (limit)
        COPY(ret_event->unit, config_point(config, limit->device, limit->point)->unit);
    else if (rule->point != CONFIG_NONE)
        COPY(ret_event->unit, config_point(config, rule->device, rule->point)->unit);
    ret_event->has_limit = limit || rule->condition <= CONDITION_EQUAL;
    ret_event->limit = limit ? limit->limit : rule->limit;
    ret_event->since_ms = alarm->since_ms;
    COPY(ret_event->zh, rule->zh);
    COPY(ret_event->en, rule->en);
    COPY(ret_event->remedy_zh, rule->remedy_zh ? rule->remedy_zh : "");
    COPY(ret_event->remedy_en, rule->remedy_en ? rule->remedy_en : "");
    if (alarm->state == ALARM_SHELVED || alarm->state == ALARM_OUT_OF_SERVICE) {
        COPY(ret_event->by, alarm->aside.by);
        COPY(ret_event->reason, alarm->aside.reason);
        ret_event->until_ms = alarm->aside.until_ms;
    }
    if (device)
        describe_place(config, device, ret_event);
}

void describe_removed(const struct config *config, const char *device, const char *alarm, const struct alarm_remains *remains,
                      struct alarm_event *ret_event) {
    memset(ret_event, 0, sizeof(*ret_event));
    COPY(ret_event->device, device);
    COPY(ret_event->alarm, alarm);
    ret_event->occurrence_start = remains->occurrence_start;
    ret_event->occurrence_seq = remains->occurrence_seq;
    ret_event->class = remains->class;
    ret_event->priority = remains->priority;
    ret_event->state = remains->state;
    ret_event->cause = CAUSE_REMOVED;
    ret_event->value = remains->value;
    ret_event->since_ms = remains->since_ms;
    COPY(ret_event->zh, "报警已从配置中移除，不再监视");
    COPY(ret_event->en, "the alarm is no longer configured: nothing watches it");
    COPY(ret_event->remedy_zh, "如非有意移除，请恢复其配置");
    COPY(ret_event->remedy_en, "put it back into the configuration if this was not meant");
    COPY(ret_event->by, remains->aside.by);
    COPY(ret_event->reason, remains->aside.reason);
    ret_event->until_ms = remains->aside.until_ms;
    for (uint16_t i = 0; i < config->devices_count; i++)
        if (strcmp(config->devices[i].spec.name, device) == 0)
            describe_place(config, &config->devices[i], ret_event);
}

void describe_written(const struct config *config, const struct written *written, char ret_why[EVENT_TEXT_SIZE]) {
    const char *device = config->devices[written->device].spec.name;
    ret_why[0] = '\0';
    if (written->ok)
        return;
    snprintf(ret_why, EVENT_TEXT_SIZE, written->exception ? "%s refuses: %s" : "%s: %s", device,
             written->exception ? frame_exception_name(written->exception) : bus_status_name(written->status));
}

void describe_action(const struct config *config, const struct config_action *rule, bool ok, const char *why, uint32_t attempt,
                     struct action_event *ret_event) {
    memset(ret_event, 0, sizeof(*ret_event));
    COPY(ret_event->action, rule->name);
    COPY(ret_event->device, config->devices[rule->device].spec.name);
    COPY(ret_event->point, config_point(config, rule->device, rule->point)->name);
    if (rule->alarm != CONFIG_NONE) {
        const struct config_alarm *alarm = &config->alarms[rule->alarm];
        COPY(ret_event->alarm_device, config->devices[alarm->device].spec.name);
        COPY(ret_event->alarm, alarm->name);
    }
    ret_event->value = rule->value;
    ret_event->ok = ok;
    ret_event->attempt = attempt > UINT8_MAX ? UINT8_MAX : (uint8_t)attempt;
    COPY(ret_event->why, why);
}
