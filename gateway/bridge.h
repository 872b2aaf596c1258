/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge between the pure half and the shells: what threads report becomes events, what the engine wants is carried out.
 *
 *   line threads ----.                                   .--> buses (writes, releases)
 *   TCP buses -------+--> inbox --> event --> engine --> effects --> store, mqtt, service manager
 *   store, mqtt -----'                (one step)         '--> the loop's next deadline
 *   control socket --> inbox --> a bus in its spare time --> inbox --> control socket: past the engine
 *   broker, control socket --> inbox --> command --> engine --> reply (bridge_command.c)
 *
 * Owner: run.c, which builds it. The sinks run on any thread and only post; everything else runs on the loop thread. */
#ifndef YANHUO_BRIDGE_H
#define YANHUO_BRIDGE_H

#include <stdatomic.h>

#include "gateway/engine.h"
#include "gateway/io/command_json.h"
#include "gateway/io/credential.h"
#include "gateway/io/inbox.h"
#include "gateway/io/loop.h"
#include "gateway/io/mqtt.h"
#include "gateway/io/record.h"
#include "gateway/io/socket.h"
#include "gateway/io/store.h"
#include "sensors/bus_rtu.h"
#include "sensors/bus_tcp.h"

struct bridge_bus { /* the context of a bus's sink; one of rtu and tcp */
    struct bridge *bridge;
    struct bus_rtu *rtu;
    struct bus_tcp *tcp;
};

struct bridge {
    struct trace trace;     /* the engine's */
    struct trace tcp_trace; /* of all TCP buses: they are stepped on the loop, one at a time */
    struct engine *engine;
    struct effects effects;
    struct store *store;
    struct mqtt *mqtt;
    struct record *record; /* NULL: nothing is recorded */
    struct socket_server *socket; /* NULL: there is none */
    const struct config *config;
    struct loop *loop;
    struct inbox *inbox;
    struct bridge_bus *buses; /* as configured */
    struct command_key command_key;
    char command_key_text[CREDENTIAL_SIZE]; /* the key, or why there is none */
    uint64_t dropped[UPLINKS_MAX]; /* commands, as far as the engine knows */
    uint8_t flooded[UPLINKS_MAX]; /* beats until a flood that stopped is over */
    bool stepping, stopping;
    atomic_bool acks_wait; /* an acknowledgement need not wake the loop */
};

/* Gives the engine one event, stamped with the present time, and carries out what it wants. */
void bridge_step(struct bridge *bridge, struct event *event);
/* Takes everything that was posted. */
void bridge_drain(struct bridge *bridge);

/* Sinks for the shells; the context is the bridge, for buses their struct bridge_bus. */
struct bus_sink bridge_bus_sink(struct bridge_bus *bus);
struct store_sink bridge_store_sink(struct bridge *bridge);
struct mqtt_sink bridge_mqtt_sink(struct bridge *bridge);
struct record_sink bridge_record_sink(struct bridge *bridge);
struct socket_sink bridge_socket_sink(struct bridge *bridge);

/* bridge_command.c. The key is looked for once, before anything is received. */
struct bridge_received { /* a broker's message in the inbox; its payload, at most COMMAND_SIZE bytes of it, lies behind it */
    uint16_t uplink;
    bool retained;
    char verb[NAME_SIZE];
    size_t size; /* of the whole payload */
};
void bridge_command_key(struct bridge *bridge, const char *credentials_dir);
/* Any thread; returns how much of the payload goes along. */
size_t bridge_command_head(const struct bridge *bridge, uint16_t uplink, bool retained, const char *topic, size_t size, struct bridge_received *ret_head);
/* Loop thread. */
void bridge_command_received(struct bridge *bridge, const struct bridge_received *received);
void bridge_command_asked(struct bridge *bridge, const struct socket_request *request);
void bridge_command_beat(struct bridge *bridge); /* each second: tells the engine of floods */

/* bridge_guest.c, loop thread: a client asks a bus, and what came of it. */
void bridge_guest_asked(struct bridge *bridge, const struct socket_request *request, const struct guest_sink *sink);
void bridge_guest_answered(struct bridge *bridge, const struct guest_answer *answer);

#endif
