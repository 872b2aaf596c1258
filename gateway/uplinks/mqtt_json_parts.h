/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the MQTT contract share: keys and values as its JSON has them. Pure; see mqtt_json.h. */
#ifndef YANHUO_MQTT_JSON_PARTS_H
#define YANHUO_MQTT_JSON_PARTS_H

#include "gateway/uplinks/mqtt_json.h"

/* Each adds a comma when it is not the first of its object, the key, and the value. */
void json_key(struct text *text, const char *name);
void json_key_text(struct text *text, const char *name, const char *value); /* NULL: null */
void json_key_bool(struct text *text, const char *name, bool value);
void json_key_u64(struct text *text, const char *name, uint64_t value);
void json_key_time(const struct mqtt_json *json, struct text *text, const char *name, int64_t wall_ms); /* 0: null */
void json_key_value(struct text *text, const char *name, const struct value *value);
void json_key_id(const struct mqtt_json *json, struct text *text, const char *name, uint64_t start, uint64_t seq); /* seq 0: null */
/* PREFIX/kind[/first[/second]] */
void json_topic(const struct mqtt_json *json, struct text *topic, const char *kind, const char *first, const char *second);
bool json_fits(const struct text *topic, const struct text *payload);

/* The members of an event about what people do, or a burst of alarms; mqtt_json_people.c. */
bool mqtt_json_people(const struct mqtt_json *json, struct text *text, const struct entry *entry);

/* The watch over the gateway's own parts: those that are not well, or were not once. */
void json_vitals(struct text *text, const struct engine_counters *counters);

#endif
