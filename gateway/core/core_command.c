/* SPDX-License-Identifier: Apache-2.0 */
/* What a person asks, from top to bottom: may it be done at all (read, not retained, in time, not done before, authorised)? to what?
 * done, or refused with a reason; told as an event, its id remembered in the same commit.
 * Guarantees: a refused command has changed nothing; an accepted one is an event, with the channel it came by; none is done twice
 * while its id is remembered, which is until it has expired. A command from the local socket may be older than the clock is right,
 * so only those with an end need a trusted clock there; from a broker all do. */
#include <string.h>

#include "base/check.h"
#include "base/fnv.h"
#include "base/text.h"
#include "gateway/core/core_parts.h"
#include "sensors/poller.h"

struct request {
    struct core *core;
    const struct now *now;
    const struct command *command;
    uint16_t device, alarm, point; /* as far as named; CONFIG_NONE */
    const char *why;
};

/* ---- may it be done ---- */

static uint64_t hash_id(const char *id) {
    return fnv_add(FNV_START, id, strlen(id));
}

static bool done_before(const struct core *core, const struct command *command) {
    uint64_t hash = hash_id(command->id);
    for (unsigned i = 0; i < COMMANDS_KEPT; i++)
        if (core->commands.kept[i].expires_ms && core->commands.kept[i].hash == hash)
            return true;
    return false;
}

/* A slot for its id, or COMMANDS_KEPT when all are in use. */
static unsigned free_slot(const struct core *core, const struct now *now) {
    unsigned slot = 0;
    while (slot < COMMANDS_KEPT && core->commands.kept[slot].expires_ms && (!now->wall_trusted || core->commands.kept[slot].expires_ms >= now->wall_ms))
        slot++;
    return slot;
}

static const char *refusal(const struct request *request, const struct command_rule *rule) {
    const struct command *command = request->command;
    const struct now *now = request->now;
    bool timed = command->channel == CHANNEL_MQTT || (command->fields & (FIELD_UNTIL | FIELD_MINUTES));
    if (command->refusal[0])
        return command->refusal;
    if (!rule)
        return "there is no such command";
    if (command->retained)
        return "a retained command may be of any age; publish it without the retain flag";
    if ((command->fields & rule->needed) != rule->needed || (command->fields & ~rule->allowed))
        return "it does not have the fields this command takes";
    if (timed && !now->wall_trusted)
        return "the gateway's clock is not set yet, so it cannot know how old this is";
    if (now->wall_trusted && command->expires_ms <= now->wall_ms)
        return "it has expired";
    if (now->wall_trusted && command->issued_ms > now->wall_ms + COMMAND_AHEAD_MAX_MS)
        return "it was issued in the future; set the sender's clock";
    if (command->expires_ms - command->issued_ms > COMMAND_LIFE_MAX_MS || command->expires_ms <= command->issued_ms)
        return "it must expire within an hour of being issued";
    if (done_before(request->core, command))
        return "a command with this id was carried out already";
    if (rule->authorised && !command->authorised)
        return "it needs a signature with this gateway's key, or to come from its own machine";
    if (free_slot(request->core, now) == COMMANDS_KEPT)
        return "too many commands in the last hour; try again later";
    return NULL;
}

/* ---- to what ---- */

static uint16_t find_device(const struct core *core, const char *name) {
    for (uint16_t i = 0; i < core->config->devices_count; i++)
        if (strcmp(core_device_name(core, i), name) == 0)
            return i;
    return CONFIG_NONE;
}

static bool find_named(struct request *request) {
    const struct command *command = request->command;
    struct core *core = request->core;
    request->device = request->alarm = request->point = CONFIG_NONE;
    bool own = command->fields & FIELD_ALARM && strcmp(command->device, CORE_GATEWAY) == 0; /* of the gateway itself */
    if (!own && command->fields & FIELD_DEVICE && (request->device = find_device(core, command->device)) == CONFIG_NONE)
        request->why = "there is no such device";
    else if (command->fields & FIELD_ALARM && (request->alarm = core_find_alarm(core, command->device, command->alarm)) == CONFIG_NONE)
        request->why = "the device has no such alarm";
    for (uint16_t i = 0; !request->why && !own && command->fields & FIELD_POINT && i < core->config->devices[request->device].spec.points_count; i++)
        if (strcmp(config_point(core->config, request->device, i)->name, command->point) == 0)
            request->point = i;
    if (!request->why && command->fields & FIELD_POINT && request->point == CONFIG_NONE)
        request->why = "the device has no such point";
    return !request->why;
}

/* ---- the verbs; each returns false with `why` and has then changed nothing ---- */

static struct alarm *alarm_of(const struct request *request, uint16_t alarm) {
    return &request->core->alarms[alarm].alarm;
}

static void told(struct request *request, uint16_t alarm, enum alarm_cause cause) {
    core_alarm_changed(request->core, request->now, alarm, cause);
    core_alarm_rearm(request->core, request->now, alarm);
}

static struct alarm_aside aside_of(const struct request *request) {
    struct alarm_aside aside = {.until_ms = request->command->until_ms};
    (void)text_copy(aside.by, sizeof(aside.by), request->command->by);
    (void)text_copy(aside.reason, sizeof(aside.reason), request->command->reason);
    return aside;
}

static bool do_acknowledge(struct request *request) {
    if (!alarm_acknowledge(alarm_of(request, request->alarm), request->now, &request->why))
        return false;
    told(request, request->alarm, CAUSE_ACKNOWLEDGE);
    return true;
}

static bool do_shelve(struct request *request) {
    struct alarm_aside aside = aside_of(request);
    if (!alarm_shelve(alarm_of(request, request->alarm), request->now, &aside, &request->why))
        return false;
    told(request, request->alarm, CAUSE_SHELVE);
    return true;
}

static bool do_unshelve(struct request *request) {
    if (!alarm_unshelve(alarm_of(request, request->alarm), request->now, &request->why))
        return false;
    told(request, request->alarm, CAUSE_UNSHELVE);
    return true;
}

static bool concerns(const struct request *request, uint16_t alarm) {
    return request->alarm != CONFIG_NONE ? alarm == request->alarm : alarm_of(request, alarm)->rule->device == request->device;
}

/* One alarm, or all of a device; its communication alarm among them, because a detector that is being replaced is silent. */
static bool do_out_of_service(struct request *request) {
    struct core *core = request->core;
    struct alarm_aside aside = aside_of(request);
    bool on = request->command->on, any = false;
    if (on && (~request->command->fields & (FIELD_REASON | FIELD_UNTIL))) {
        request->why = "out of service needs a reason and an end ('until')";
        return false;
    }
    for (uint16_t i = 0; on && i < core->alarms_count; i++) { /* all or none: an end too far for one is too far */
        struct alarm trial;
        if (!concerns(request, i))
            continue;
        trial = *alarm_of(request, i);
        if (!alarm_take_out(&trial, request->now, &aside, &request->why))
            return false;
    }
    for (uint16_t i = 0; i < core->alarms_count; i++) {
        struct alarm *alarm = alarm_of(request, i);
        if (!concerns(request, i) ||
            !(on ? alarm_take_out(alarm, request->now, &aside, &request->why) : alarm_put_back(alarm, request->now, &request->why)))
            continue;
        told(request, i, on ? CAUSE_OUT_OF_SERVICE : CAUSE_IN_SERVICE);
        any = true;
    }
    return any;
}

/* Of what is latched, and of what local actions hold for it: the supply may come back, by a person's hand. */
static bool do_reset(struct request *request) {
    struct alarm *alarm = alarm_of(request, request->alarm);
    bool reset = alarm_reset(alarm, request->now, &request->why);
    if (!reset && alarm->state == ALARM_RETURNED)
        request->why = "it has to be acknowledged first";
    if (!reset && alarm->state != ALARM_NORMAL)
        return false;
    bool released = core_actions_release(request->core, request->now, request->alarm);
    if (reset)
        told(request, request->alarm, CAUSE_RESET);
    return reset || released;
}

static bool find_problem(struct request *request, unsigned *ret_problem) {
    const char *id = request->command->problem, *gateway = request->core->config->gateway_id;
    size_t length = strlen(gateway);
    char hex[19] = "0x";
    uint64_t start = 0, seq = 0;
    bool form = strncmp(id, gateway, length) == 0 && id[length] == '-' && strlen(id + length + 1) > 17 && id[length + 17] == '-';
    if (form) {
        memcpy(hex + 2, id + length + 1, 16);
        form = text_read_u64(hex, &start) && text_read_u64(id + length + 18, &seq);
    }
    *ret_problem = form ? problems_find_id(&request->core->problems, start, seq) : PROBLEMS_MAX;
    if (*ret_problem == PROBLEMS_MAX)
        request->why = "there is no open problem with this id";
    return *ret_problem < PROBLEMS_MAX;
}

static bool do_problem(struct request *request) {
    const struct command *command = request->command;
    struct core *core = request->core;
    unsigned index;
    if (!find_problem(request, &index))
        return false;
    struct problem *problem = &core->problems.items[index];
    uint16_t alarm = core_find_alarm(core, problem->device, problem->alarm);
    bool normal = alarm == CONFIG_NONE || core->alarms[alarm].alarm.state == ALARM_NORMAL, ok;
    if (command->verb == COMMAND_ASSIGN)
        ok = problem_assign(problem, command->to, &request->why);
    else if (command->verb == COMMAND_RECTIFY)
        ok = problem_rectify(problem, command->by, command->what, &request->why);
    else
        ok = problem_close(problem, command->by, normal, &request->why);
    if (ok)
        core_problem_tell(core, request->now, index, command->by, command->what);
    return ok;
}

static bool do_maintenance(struct request *request) {
    static const char *const types[] = {"cleaning", "filter", "repair", "calibration", "inspection"};
    bool known = false;
    for (unsigned i = 0; i < ARRAY_COUNT(types); i++)
        known = known || strcmp(request->command->type, types[i]) == 0;
    if (!known) {
        request->why = "its type must be one of cleaning, filter, repair, calibration, inspection";
        return false;
    }
    if (strcmp(request->command->type, "cleaning") == 0)
        core_derive_on_maintenance(request->core, request->now, request->device);
    return true;
}

static bool do_walk_test(struct request *request) {
    const struct command *command = request->command;
    struct core *core = request->core;
    uint32_t minutes = command->fields & FIELD_MINUTES ? command->minutes : WALK_MINUTES_DEFAULT;
    uint16_t place = CONFIG_NONE;
    if (command->stop) {
        request->why = core->walk.on ? NULL : "no walk test is going on";
        if (core->walk.on)
            core_walk_end(core, request->now);
        return !request->why;
    }
    for (uint16_t i = 0; command->fields & FIELD_PLACE && i < core->config->places_count; i++)
        if (strcmp(core->config->places[i].key, command->place) == 0)
            place = i;
    if (command->fields & FIELD_PLACE && place == CONFIG_NONE)
        request->why = "there is no such place";
    else if (command->fields & FIELD_DEVICE && request->device == CONFIG_NONE)
        request->why = "the gateway itself is no detector";
    else if (!!(command->fields & FIELD_PLACE) == !!(command->fields & FIELD_DEVICE))
        request->why = "it tests one place or one device: give one of them";
    else if (minutes == 0 || minutes > WALK_MINUTES_MAX)
        request->why = "its minutes must be 1 to 120";
    if (request->why || !walk_begin(&core->walk, request->now, place, request->device, minutes, command->inhibit, command->by, command->id, &request->why))
        return false;
    trace_add(core->trace, request->now->mono_us, TRACE_INFO, "walk test begun detectors=%u minutes=%u", core->walk.detectors_count, minutes);
    core_walk_tell(core, request->now, false);
    return true;
}

static bool value_of(const struct request *request, const struct point *point, double *ret_value) {
    const char *text = request->command->value_text;
    *ret_value = request->command->value;
    if (!text[0])
        return true;
    for (unsigned i = 0; i < point->labels_count; i++)
        if (strcmp(point->labels[i].name, text) == 0) {
            *ret_value = (double)point->labels[i].value;
            return true;
        }
    *ret_value = strcmp(text, "on") == 0;
    return !point->labels_count && (*ret_value != 0 || strcmp(text, "off") == 0);
}

static bool do_write(struct request *request) {
    const struct point *point = config_point(request->core->config, request->device, request->point);
    double value;
    if (!point->writable)
        request->why = "this point cannot be written";
    else if (!value_of(request, point, &value))
        request->why = "this point has no such value";
    else if (point->has_range && !(value >= point->range_min && value <= point->range_max))
        request->why = "the value is outside the point's range";
    else if (!poller_can_write(point, value))
        request->why = "the point cannot hold this value: it is written as a smaller number, or only as on and off";
    return !request->why && core_manual_write(request->core, request->device, request->point, value, request->command->by, &request->why);
}

static bool carry_out(struct request *request) {
    switch (request->command->verb) {
    case COMMAND_ACKNOWLEDGE:
        return do_acknowledge(request);
    case COMMAND_SHELVE:
        return do_shelve(request);
    case COMMAND_UNSHELVE:
        return do_unshelve(request);
    case COMMAND_OUT_OF_SERVICE:
        return do_out_of_service(request);
    case COMMAND_RESET:
        return do_reset(request);
    case COMMAND_ASSIGN:
    case COMMAND_RECTIFY:
    case COMMAND_CLOSE:
        return do_problem(request);
    case COMMAND_MAINTENANCE:
        return do_maintenance(request);
    case COMMAND_WALK_TEST:
        return do_walk_test(request);
    case COMMAND_WRITE:
        return do_write(request);
    }
    return false;
}

/* The event of an accepted command, and its id among those that are not done again. */
static uint64_t remember(struct core *core, const struct now *now, const struct command *command) {
    uint8_t bytes[sizeof(*command) + 128];
    struct bytes_writer body;
    unsigned slot = free_slot(core, now);
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_command(&body, command);
    uint64_t seq = core_seal_event(core, now, LANE_EVENT, command->verb == COMMAND_MAINTENANCE ? ENTRY_MAINTENANCE : ENTRY_COMMAND, &body);
    core->commands.kept[slot].hash = hash_id(command->id);
    core->commands.kept[slot].expires_ms = command->expires_ms;
    core_record_command(core, slot, seq);
    return seq;
}

void core_on_command(struct core *core, const struct now *now, const struct command *command, struct command_outcome *ret_outcome) {
    const struct command_rule *rule = command_rule(command->verb);
    struct request request = {.core = core, .now = now, .command = command};
    *ret_outcome = (struct command_outcome){.ok = false};
    request.why = refusal(&request, rule);
    core->by = command->by;
    bool ok = !request.why && find_named(&request) && carry_out(&request);
    core->by = NULL;
    if (ok) {
        ret_outcome->ok = true;
        ret_outcome->event_start = core->journal.start;
        ret_outcome->event_seq = remember(core, now, command);
        trace_add(core->trace, now->mono_us, TRACE_INFO, "command %s %s done for %s (%s)", command->id, rule->name, command->by, command->peer);
        return;
    }
    (void)text_copy(ret_outcome->why, sizeof(ret_outcome->why), request.why ? request.why : "it changes nothing here");
    trace_add(core->trace, now->mono_us, TRACE_WARNING, "command %s %s refused (%s): %s", command->id[0] ? command->id : "without id",
              rule ? rule->name : "?", command->peer, ret_outcome->why);
}
