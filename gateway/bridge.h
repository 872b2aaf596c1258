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
#include "gateway/io/last_words.h"
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

struct bridge_pace { /* of the watch; a test has a quicker one */
    const struct vitals_bounds *bounds; /* by kind */
    uint32_t beat_ms;
    unsigned loop_s; /* without a beat for so long the process is killed */
};
extern const struct bridge_pace bridge_pace_usual;

struct bridge_watch { /* bridge_watch.c */
    struct bridge_pace pace;
    int64_t beat_us;
    int64_t asked_us[UPLINKS_MAX]; /* since when the transport owes an answer; 0: it owes none */
    uint8_t states[VITALS_PARTS_MAX]; /* of the parts, as written down last */
    bool news; /* to be written down */
    int64_t write_us; /* not before, unless a part is stuck */
    bool restart; /* is wanted */
};

struct bridge {
    struct arena *arena;
    struct bridge_watch watch;
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

/* bridge_bus.c, loop thread. */
NODISCARD enum err bridge_bus_open(struct bridge *bridge, uint16_t index);
void bridge_bus_replace(struct bridge *bridge, uint16_t index); /* its thread hangs: another one, with a poller that knows nothing yet */
void bridge_buses_close(struct bridge *bridge);

/* bridge_watch.c, loop thread. */
void bridge_watch_beat(struct bridge *bridge);
void bridge_watch_restart(struct bridge *bridge, const char *part);

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
