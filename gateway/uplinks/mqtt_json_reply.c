/* SPDX-License-Identifier: Apache-2.0 */
/* {"id":"c-1","verb":"reset","ok":true,"event":"gw-00000000000000ab-17","at":"..."}: carried out; its event tells the rest.
 * {"id":"c-1","verb":"reset","ok":false,"why":"...","at":"..."}: refused, with the reason for a person. */
#include "gateway/uplinks/mqtt_json_parts.h"

void mqtt_json_reply_payload(const struct mqtt_json *json, const struct command_reply *reply, struct text *payload) {
    const struct command_rule *rule = command_rule(reply->verb);
    text_add_char(payload, '{');
    json_key_text(payload, "id", reply->id[0] ? reply->id : NULL);
    json_key_text(payload, "verb", rule ? rule->name : NULL);
    json_key_bool(payload, "ok", reply->outcome.ok);
    if (reply->outcome.ok)
        json_key_id(json, payload, "event", reply->outcome.event_start, reply->outcome.event_seq);
    else
        json_key_text(payload, "why", reply->outcome.why);
    json_key_time(json, payload, "at", reply->at_ms);
    text_add_char(payload, '}');
}

bool mqtt_json_reply(const struct mqtt_json *json, const struct command_reply *reply, struct text *topic, struct text *payload) {
    json_topic(json, topic, "reply", reply->id, NULL);
    mqtt_json_reply_payload(json, reply, payload);
    return json_fits(topic, payload);
}
