/* SPDX-License-Identifier: Apache-2.0 */
/* Paho as a pipe: one client per uplink, one pump thread for all of them, the caller of the library, because every Paho call may
 * wait for a mutex that is held during DNS and connect. The loop thread queues commands; while no link connects or ends it hands
 * messages to the library itself (mqtt_gate.c).
 * mqtt.c is the only file that includes MQTTAsync.h. No persistence, no automatic reconnect, no buffering in the library:
 * sessions, windows, back-off and repetition belong to the engine.
 *
 * Guarantees: every mqtt_send gets exactly one acked for its slot, every mqtt_connect one link_up or link_down, every
 * mqtt_disconnect one link_down (so an mqtt_disconnect during a connect gives two, and one of a link that is already down
 * gives one all the same); it waits up to 1.3 s for the answers to what is in flight. After link_down nothing of that
 * connection is reported any more, except the ACK_LOST of its slots, all of which come before the next link_up. */
#ifndef YANHUO_MQTT_H
#define YANHUO_MQTT_H

#include "gateway/engine.h"

struct mqtt;

struct mqtt_link_up {
    uint16_t uplink, receive_max;
    uint8_t version;
};

struct mqtt_link_down {
    uint16_t uplink;
    enum link_reason reason;
    int code;
    char text[LINE_SIZE / 4];
};

struct mqtt_acked {
    uint16_t uplink, slot;
    enum ack_result result;
    int code;
    int64_t at_us; /* monotonic time of the answer, because the sink may hand it on later */
};

/* Called on Paho's threads or the pump's, with locks held that the loop takes to send: must hand over and return at once, without
 * ever waiting for the loop (not even for room), and must not call back into mqtt_*. `received` is a command, of any size and content;
 * at most COMMANDS_PER_S of each uplink get so far; false: there was no room for it, and it counts as dropped. */
struct mqtt_sink {
    void *context;
    void (*link_up)(void *context, const struct mqtt_link_up *up);
    void (*link_down)(void *context, const struct mqtt_link_down *down);
    void (*acked)(void *context, const struct mqtt_acked *acked);
    bool (*received)(void *context, uint16_t uplink, bool retained, const char *topic, const uint8_t *payload, size_t size);
};

/* Starts the pump. `credentials_dir` is where systemd put the credentials (NULL: passwords from files named by a credential
 * are missing, which is reported as LINK_CREDENTIALS when connecting). The will is `{prefix}/status` offline, retained. */
NODISCARD enum err mqtt_open(const struct config *config, const char *credentials_dir, const char *will_payload, const struct mqtt_sink *sink,
                             struct mqtt **ret_mqtt);
/* Disconnects what is connected, waits at most 3 s, frees. NULL is allowed. */
void mqtt_close(struct mqtt *mqtt);

/* Loop thread only; none of them waits for the network. mqtt_send copies topic and payload. */
void mqtt_connect(struct mqtt *mqtt, uint16_t uplink, uint8_t broker); /* its place in the uplink's list */
void mqtt_disconnect(struct mqtt *mqtt, uint16_t uplink);
void mqtt_send(struct mqtt *mqtt, uint16_t uplink, uint16_t slot, const char *topic, const char *payload, uint32_t size, uint8_t qos, bool retain);

/* Commands of this uplink that were dropped because there were too many, since the start. Any thread. */
uint64_t mqtt_dropped(const struct mqtt *mqtt, uint16_t uplink);

/* Microseconds since the pump last finished a turn while it had work; 0 when idle. Any thread. */
int64_t mqtt_busy_us(const struct mqtt *mqtt);

#endif
