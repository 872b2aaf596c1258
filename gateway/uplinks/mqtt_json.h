/* SPDX-License-Identifier: Apache-2.0 */
/* The MQTT contract of the gateway as text: which topic, which JSON. Topics begin with `yanhuo/v1/{gateway}/`; times are RFC 3339
 * with milliseconds and offset, bad values null, floats the shortest that round-trips, whole numbers above 2^53 as text.
 * Keys stand in the order of the contract, without blanks. Pure. Each function returns false when the message did not fit. */
#ifndef YANHUO_MQTT_JSON_H
#define YANHUO_MQTT_JSON_H

#include "base/text.h"
#include "gateway/core/event.h"

struct mqtt_json {
    const struct config *config;
    const struct series_directory *series;
    const char *topic_prefix, *version;
    uint64_t start;
};

struct command_reply {
    char id[NAME_SIZE]; /* of the command; "": it had none that can be read */
    enum command_verb verb; /* 0: there is none */
    int64_t at_ms;
    struct command_outcome outcome;
};

/* A stored entry: reading/{device} or event; the end of a retained topic is that topic with nothing (CLEARED, to be retained). `replayed`
 * marks what is not live. */
bool mqtt_json_entry(const struct mqtt_json *json, const struct entry *entry, bool replayed, struct text *topic, struct text *payload);
/* alarm/{device}/{alarm}: the present state, retained. `seq` is its newest event in this start (0: none), `at_ms` when the state was
 * entered (0: never left normal). */
bool mqtt_json_alarm(const struct mqtt_json *json, const struct alarm_event *event, uint64_t seq, int64_t at_ms, struct text *topic, struct text *payload);
/* meta/{device}: points, types, units, names, place. */
bool mqtt_json_meta(const struct mqtt_json *json, uint16_t device, struct text *topic, struct text *payload);
bool mqtt_json_status(const struct mqtt_json *json, bool online, const struct now *now, int64_t since_ms, struct text *topic, struct text *payload);
/* reply/{id}, whose id must not be "": what became of a command. The payload alone is the answer to a local client. */
bool mqtt_json_reply(const struct mqtt_json *json, const struct command_reply *reply, struct text *topic, struct text *payload);
void mqtt_json_reply_payload(const struct mqtt_json *json, const struct command_reply *reply, struct text *payload);
bool mqtt_json_health(const struct mqtt_json *json, const struct engine_counters *counters, const struct now *now, struct text *topic, struct text *payload);

#endif
