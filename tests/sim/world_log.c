/* SPDX-License-Identifier: Apache-2.0 */
/* The log: what the machines trace, what the models see, and what brokers receive, each with its virtual time. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

void log_line(struct world *world, int64_t at_us, const char *format, ...) {
    char line[LINE_SIZE + 64];
    if (world->quiet)
        return;
    int head = snprintf(line, sizeof(line), "[%10.3f] ", (double)(at_us - WORLD_BEGIN_US) / 1e6);
    va_list args;
    va_start(args, format);
    vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, args);
    va_end(args);
    size_t length = strlen(line);
    line[length++] = '\n';
    if (world->log_length + length + 1 > world->log_room) {
        world->log_room = 2 * world->log_room + 65536;
        world->log = realloc(world->log, world->log_room);
        CHECK(world->log);
    }
    memcpy(world->log + world->log_length, line, length);
    world->log_length += length;
    world->log[world->log_length] = '\0';
}

void log_trace(struct world *world, struct trace *trace) {
    const struct trace_line *line;
    if (trace->dropped)
        world_fail(world, "one step wrote more trace lines than fit");
    while (trace_take(trace, &line)) {
        oracle_trace(world, line);
        log_line(world, line->mono_us, "%s", line->text);
    }
}

const char *world_log(const struct world *world) {
    return world->log ? world->log : "";
}

/* ---- messages ---- */

const char *json_text(const char *json, const char *key, char *ret_text, size_t size) {
    char pattern[64];
    snprintf(pattern, sizeof(pattern), "\"%s\":", key);
    const char *from = strstr(json, pattern);
    ret_text[0] = '\0';
    if (!from)
        return ret_text;
    from += strlen(pattern);
    bool quoted = *from == '"';
    size_t length = quoted ? strcspn(++from, "\"") : strcspn(from, ",}]");
    snprintf(ret_text, size, "%.*s", (int)length, from);
    return ret_text;
}

static void event_words(const struct message *message, char *ret_text, size_t size) {
    char kind[NAME_SIZE], a[NAME_SIZE], b[NAME_SIZE], c[NAME_SIZE], d[EVENT_TEXT_SIZE];
    json_text(message->payload, "kind", kind, sizeof(kind));
    if (strcmp(kind, "alarm") == 0 || strcmp(kind, "roster") == 0 || strcmp(kind, "removed") == 0)
        snprintf(ret_text, size, "%s %s/%s %s", kind, json_text(message->payload, "device", a, sizeof(a)),
                 json_text(message->payload, "alarm", b, sizeof(b)), json_text(message->payload, "state", c, sizeof(c)));
    else if (strcmp(kind, "action") == 0)
        snprintf(ret_text, size, "action %s ok=%s attempt=%s", json_text(message->payload, "action", a, sizeof(a)),
                 json_text(message->payload, "ok", b, sizeof(b)), json_text(message->payload, "attempt", c, sizeof(c)));
    else if (strcmp(kind, "gap") == 0)
        snprintf(ret_text, size, "gap lane=%s count=%s why=%s", json_text(message->payload, "lane", a, sizeof(a)),
                 json_text(message->payload, "count", b, sizeof(b)), json_text(message->payload, "why", d, sizeof(d)));
    else if (strcmp(kind, "problem") == 0)
        snprintf(ret_text, size, "problem %s/%s %s", json_text(message->payload, "device", a, sizeof(a)),
                 json_text(message->payload, "alarm", b, sizeof(b)), json_text(message->payload, "state", c, sizeof(c)));
    else if (strcmp(kind, "command") == 0 || strcmp(kind, "maintenance") == 0)
        snprintf(ret_text, size, "%s %s by=%s", kind, json_text(message->payload, "verb", a, sizeof(a)),
                 json_text(message->payload, "by", b, sizeof(b)));
    else if (strcmp(kind, "walk_test") == 0)
        snprintf(ret_text, size, "walk_test %s seen=%s of=%s", json_text(message->payload, "state", a, sizeof(a)),
                 json_text(message->payload, "seen", b, sizeof(b)), json_text(message->payload, "detectors", c, sizeof(c)));
    else if (strcmp(kind, "chatter") == 0 || strcmp(kind, "flood") == 0)
        snprintf(ret_text, size, "%s %s count=%s", kind, json_text(message->payload, "burst", a, sizeof(a)),
                 json_text(message->payload, "count", b, sizeof(b)));
    else
        snprintf(ret_text, size, "%s %s%s%s", kind, json_text(message->payload, "what", a, sizeof(a)), strcmp(kind, "clock") == 0 ? " by=" : "",
                 strcmp(kind, "clock") == 0 ? json_text(message->payload, "offset_ms", b, sizeof(b)) : "");
}

void log_message(struct world *world, const struct message *message) {
    if (world->quiet)
        return;
    const struct config_uplink *uplink = &world->config->uplinks[message->uplink];
    const char *topic = message->topic + strlen(uplink->mqtt.topic_prefix) + 1;
    char words[LINE_SIZE] = "", state[NAME_SIZE];
    unsigned count = 0;
    if (strcmp(topic, "event") == 0) {
        event_words(message, words, sizeof(words));
    } else if (strncmp(topic, "alarm/", 6) == 0) {
        json_text(message->payload[0] ? message->payload : "\"state\":cleared", "state", words, sizeof(words));
    } else if (strncmp(topic, "reading/", 8) == 0) {
        for (const char *object = strstr(message->payload, "{\"t\":"); object; object = strstr(object + 1, "{\"t\":"))
            count++;
        snprintf(words, sizeof(words), "n=%u", count);
    } else if (strcmp(topic, "status") == 0) {
        snprintf(words, sizeof(words), "%s", json_text(message->payload, "status", state, sizeof(state)));
    }
    log_line(world, world->now_us, "%s <- %s%s%s%s", uplink->name, topic, words[0] ? " " : "", words, message->replayed ? " replayed" : "");
}

/* ---- comparing ---- */

static bool matches(const char *line, size_t length, const char *filter) {
    while (*filter) {
        size_t word = strcspn(filter, "|");
        for (size_t i = 0; word && i + word <= length; i++)
            if (memcmp(line + i, filter, word) == 0)
                return true;
        filter += word + (filter[word] == '|');
    }
    return false;
}

void world_expect(struct world *world, const char *filter, const char *expected) {
    const char *at = world->log + world->expected_from;
    char *lines = calloc(1, world->log_length - world->expected_from + 2);
    size_t length = 0;
    CHECK(lines);
    while (*at) {
        size_t line = strcspn(at, "\n") + 1;
        if (matches(at, line, filter)) {
            memcpy(lines + length, at, line);
            length += line;
        }
        at += line;
    }
    world->expected_from = world->log_length;
    bool equal = strcmp(lines, expected) == 0;
    if (!equal) {
        size_t same = 0, begin = 0;
        for (; lines[same] && lines[same] == expected[same]; same++)
            begin = lines[same] == '\n' ? same + 1 : begin;
        fprintf(stderr, "---- the lines with %s are ----\n%s---- expected from the first difference on ----\n%s----\n", filter, lines,
                expected + begin);
    }
    free(lines);
    if (!equal)
        world_fail(world, "the story goes another way");
}
