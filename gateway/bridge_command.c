/* SPDX-License-Identifier: Apache-2.0 */
/* The road of a command: a broker's message or a local line -> inbox -> here, read as JSON -> one step of the engine, whose answer
 * goes back as a SEND or a REPLY. Reading it costs the loop some ten microseconds, and the gate before it (mqtt_bucket.h, one local
 * request at a time) lets ten a second through; so nothing else waits for it.
 *
 * A command that its broker retained is refused here already, whatever it says: it was published to be delivered again, and must not be. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "gateway/bridge.h"
#include "gateway/io/log.h"

#define FLOOD_QUIET_BEATS 5 /* a flood that takes breath is one flood: two lines in the log and not two a second */

static void no_key(struct bridge *bridge) {
    bridge->command_key.bytes = NULL;
    bridge->command_key.missing = bridge->command_key_text;
}

void bridge_command_key(struct bridge *bridge, const char *credentials_dir) {
    const struct config_commands *commands = &bridge->config->commands;
    struct command_key *key = &bridge->command_key;
    char *text = bridge->command_key_text;
    *key = (struct command_key){.gateway_id = bridge->config->gateway_id, .bytes = text};
    if (commands->hmac_credential) {
        char why[LINE_SIZE / 4];
        if (!credential_read(credentials_dir, commands->hmac_credential, text, &key->size, why, sizeof(why))) {
            (void)text_copy(text, sizeof(bridge->command_key_text), why);
            no_key(bridge);
        }
    } else if (commands->hmac_plain) {
        key->bytes = commands->hmac_plain;
        key->size = strlen(commands->hmac_plain);
    } else {
        (void)text_copy(text, sizeof(bridge->command_key_text), "the configuration names no key (commands.hmac)");
        no_key(bridge);
        return;
    }
    if (key->bytes && key->size < COMMAND_KEY_MIN) {
        (void)snprintf(text, sizeof(bridge->command_key_text), "the key is shorter than %d bytes; make one with: openssl rand -hex 32",
                       COMMAND_KEY_MIN);
        no_key(bridge);
    }
    if (!key->bytes)
        log_text(TRACE_WARNING, "signed commands will be refused: %s", text);
}

size_t bridge_command_head(const struct bridge *bridge, uint16_t uplink, bool retained, const char *topic, size_t size, struct bridge_received *ret_head) {
    size_t prefix = strlen(bridge->config->uplinks[uplink].mqtt.topic_prefix) + sizeof("/cmd/") - 1; /* as subscribed to */
    *ret_head = (struct bridge_received){.uplink = uplink, .retained = retained, .size = size};
    (void)text_copy(ret_head->verb, sizeof(ret_head->verb), strlen(topic) > prefix ? topic + prefix : "");
    return size < COMMAND_SIZE ? size : COMMAND_SIZE;
}

static void step(struct bridge *bridge, const struct command *command) {
    struct event event = {.kind = EVENT_COMMAND, .command = command};
    bridge_step(bridge, &event);
}

void bridge_command_received(struct bridge *bridge, const struct bridge_received *received) {
    char peer[NAME_SIZE];
    struct command command;
    const char *payload = (const char *)(received + 1);
    (void)snprintf(peer, sizeof(peer), "mqtt %.50s", bridge->config->uplinks[received->uplink].name);
    const struct command_source source = {.channel = CHANNEL_MQTT, .uplink = received->uplink, .peer = peer, .retained = received->retained};
    command_json_read(&source, &bridge->command_key, received->verb, payload, received->size, &command);
    if (command.retained)
        (void)text_copy(command.refusal, sizeof(command.refusal),
                        "a retained command is never carried out, it may be of any age; publish it without the retain flag");
    step(bridge, &command);
}

void bridge_command_asked(struct bridge *bridge, const struct socket_request *request) {
    char peer[NAME_SIZE];
    struct command command;
    (void)snprintf(peer, sizeof(peer), "socket uid %u", (unsigned)request->uid);
    const struct command_source source = {
        .channel = CHANNEL_SOCKET, .socket_id = request->guest.id, .peer = peer, .authorised = request->owner};
    command_json_read(&source, &bridge->command_key, request->verb, request->payload, request->payload_size, &command);
    step(bridge, &command);
}

void bridge_command_beat(struct bridge *bridge) {
    for (uint16_t i = 0; i < bridge->config->uplinks_count; i++) {
        uint64_t dropped = mqtt_dropped(bridge->mqtt, i), more = dropped - bridge->dropped[i];
        if (!more && (!bridge->flooded[i] || --bridge->flooded[i]))
            continue;
        struct event event = {.kind = EVENT_FLOOD, .flood = {.uplink = i, .dropped = more}};
        bridge->dropped[i] = dropped;
        bridge->flooded[i] = more ? FLOOD_QUIET_BEATS : 0;
        bridge_step(bridge, &event);
    }
}
