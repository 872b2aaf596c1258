/* SPDX-License-Identifier: Apache-2.0 */
/* {"id":"c-1","verb":"reset","ok":true,"event":"gw-00000000000000ab-17","at":"..."}: carried out; its event tells the rest.
 * {"id":"c-1","verb":"reset","ok":false,"why":"...","at":"..."}: refused, with the reason for a person. */
#include "gateway/uplinks/mqtt_json.h"

void mqtt_json_reply_payload(const struct mqtt_json *json, const struct command_reply *reply, struct text *payload) {
    const struct command_rule *rule = command_rule(reply->verb);
    text_add(payload, "{\"id\":");
    text_add_json(payload, reply->id[0] ? reply->id : NULL);
    text_add(payload, ",\"verb\":");
    text_add_json(payload, rule ? rule->name : NULL);
    if (reply->outcome.ok) {
        text_add(payload, ",\"ok\":true,\"event\":\"");
        text_add(payload, json->config->gateway_id);
        text_add_char(payload, '-');
        text_add_hex64(payload, reply->outcome.event_start);
        text_add_char(payload, '-');
        text_add_u64(payload, reply->outcome.event_seq);
        text_add_char(payload, '"');
    } else {
        text_add(payload, ",\"ok\":false,\"why\":");
        text_add_json(payload, reply->outcome.why);
    }
    text_add(payload, ",\"at\":\"");
    text_add_time(payload, reply->at_ms, json->config->utc_offset_minutes);
    text_add(payload, "\"}");
}

bool mqtt_json_reply(const struct mqtt_json *json, const struct command_reply *reply, struct text *topic, struct text *payload) {
    text_add(topic, json->topic_prefix);
    text_add(topic, "/reply/");
    text_add(topic, reply->id);
    mqtt_json_reply_payload(json, reply, payload);
    return !topic->full && !payload->full;
}
