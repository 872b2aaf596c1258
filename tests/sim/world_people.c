/* SPDX-License-Identifier: Apache-2.0 */
/* The people of the world: what they ask of the gateway. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

struct config_alarm *world_rule(struct world *world, const char *alarm) {
    for (uint16_t i = 0; i < world->config->alarms_count; i++) {
        const struct config_alarm *rule = &world->config->alarms[i];
        const char *device = world->config->devices[rule->device].spec.name;
        size_t length = strlen(device);
        if (strncmp(alarm, device, length) == 0 && alarm[length] == '/' && strcmp(alarm + length + 1, rule->name) == 0)
            return (struct config_alarm *)rule; /* the arena's own: const only for the machines */
    }
    world_fail(world, "no alarm %s", alarm);
}

uint16_t world_rule_index(struct world *world, const char *alarm) {
    return (uint16_t)(world_rule(world, alarm) - world->config->alarms);
}

/* The id of the newest problem of this alarm that a broker has heard of. */
static void problem_of(struct world *world, const char *alarm, struct command *command) {
    char device[NAME_SIZE], name[NAME_SIZE], both[2 * NAME_SIZE + 1];
    for (uint32_t i = world->messages_count; i > 0; i--) {
        const char *payload = world->messages[i - 1].payload;
        if (!strstr(payload, "\"kind\":\"problem\""))
            continue;
        snprintf(both, sizeof(both), "%s/%s", json_text(payload, "device", device, sizeof(device)), json_text(payload, "alarm", name, sizeof(name)));
        if (strcmp(both, alarm) != 0)
            continue;
        json_text(payload, "problem", command->problem, sizeof(command->problem));
        command->fields |= FIELD_PROBLEM;
        return;
    }
    world_fail(world, "nobody was told of a problem of %s", alarm);
}

static void name_target(struct world *world, const char *target, struct command *command) {
    const char *place = strncmp(target, "place:", 6) == 0 ? target + 6 : NULL;
    const char *point = strncmp(target, "point:", 6) == 0 ? target + 6 : NULL;
    if (command->verb == COMMAND_ASSIGN || command->verb == COMMAND_RECTIFY || command->verb == COMMAND_CLOSE) {
        problem_of(world, target, command);
        return;
    }
    if (place) {
        snprintf(command->place, sizeof(command->place), "%s", place);
        command->fields |= FIELD_PLACE;
        return;
    }
    const char *names = point ? point : target, *slash = strchr(names, '/');
    snprintf(command->device, sizeof(command->device), "%.*s", slash ? (int)(slash - names) : NAME_SIZE - 1, names);
    command->fields |= names[0] ? FIELD_DEVICE : 0;
    if (slash) {
        snprintf(point ? command->point : command->alarm, NAME_SIZE, "%s", slash + 1);
        command->fields |= point ? FIELD_POINT : FIELD_ALARM;
    }
}

static void set_text(struct command *command, const char *name, const char *value) {
    for (unsigned i = 0; i < command_texts_count; i++)
        if (strcmp(command_texts[i].name, name) == 0) {
            snprintf((char *)command + command_texts[i].offset, command_texts[i].size, "%s", value);
            command->fields |= command_texts[i].field;
            return;
        }
    CHECK(!"a word that world_command knows");
}

static void set(struct world *world, struct command *command, const char *name, const char *value) {
    uint64_t number = 0;
    (void)text_read_u64(value, &number);
    if (strcmp(name, "by") == 0) {
        snprintf(command->by, sizeof(command->by), "%s", value);
    } else if (strcmp(name, "unsigned") == 0) {
        command->authorised = false;
    } else if (strcmp(name, "mqtt") == 0) {
        command->channel = CHANNEL_MQTT;
    } else if (strcmp(name, "id") == 0) {
        snprintf(command->id, sizeof(command->id), "%s", value);
        command->expires_ms = command->issued_ms + COMMAND_LIFE_MAX_MS;
    } else if (strcmp(name, "again") == 0) {
        world->commands--;
        snprintf(command->id, sizeof(command->id), "c-%u", world->commands);
    } else if (strcmp(name, "until") == 0) {
        command->until_ms = world_now(world).wall_ms + 1000 * (int64_t)number;
        command->fields |= FIELD_UNTIL;
    } else if (strcmp(name, "minutes") == 0) {
        command->minutes = (uint32_t)number;
        command->fields |= FIELD_MINUTES;
    } else if (strcmp(name, "value") == 0) {
        snprintf(command->value_text, sizeof(command->value_text), "%s", value);
        command->fields |= FIELD_VALUE;
    } else if (strcmp(name, "on") == 0) {
        command->on = number;
        command->fields |= FIELD_ON;
    } else if (strcmp(name, "inhibit") == 0) {
        command->inhibit = number;
        command->fields |= FIELD_INHIBIT;
    } else if (strcmp(name, "stop") == 0) {
        command->stop = number;
        command->fields |= FIELD_STOP;
    } else {
        set_text(command, name, value);
    }
}

bool world_command(struct world *world, const char *verb, const char *target, const char *more) {
    int64_t wall_ms = world_now(world).wall_ms;
    const struct command_rule *rule = command_rule_named(verb);
    static struct command command;
    char words[512], *rest = words, *word;
    CHECK(rule);
    command = (struct command){.verb = rule->verb,
                               .channel = CHANNEL_SOCKET,
                               .peer = "socket",
                               .authorised = true,
                               .by = "W",
                               .issued_ms = wall_ms,
                               .expires_ms = wall_ms + 60000};
    snprintf(command.id, sizeof(command.id), "c-%u", ++world->commands);
    name_target(world, target, &command);
    snprintf(words, sizeof(words), "%s", more);
    while ((word = strsep(&rest, " ")))
        if (word[0]) {
            char *value = strchr(word, '=');
            if (value)
                *value++ = '\0';
            set(world, &command, word, value ? value : "");
        }
    char said[2 * NAME_SIZE + 64];
    size_t from = world->log_length;
    CHECK(!world->quiet); /* what came of it is read from the log */
    log_line(world, world->now_us, "world: %s %s%s%s", verb, target, more[0] ? " " : "", more);
    world_event(world, &(struct event){.kind = EVENT_COMMAND, .command = &command});
    snprintf(said, sizeof(said), "command %s %s done for", command.id, verb);
    return strstr(world->log + from, said) != NULL;
}
