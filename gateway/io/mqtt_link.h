/* SPDX-License-Identifier: Apache-2.0 */
/* What the four parts of the MQTT transport share: the pump's thread and its callers' side (mqtt_pump.c), the states of a link
 * and what the sink is told (mqtt_link.c), the short way of a message (mqtt_gate.c), and every call of the library and every
 * callback from it (mqtt.c). The pump thread is the only caller of the functions below, but for mqtt_gate_send and what that calls. */
#ifndef YANHUO_MQTT_LINK_H
#define YANHUO_MQTT_LINK_H

#include <stdatomic.h>

#include "gateway/io/mqtt.h"
#include "gateway/io/mqtt_bucket.h"
#include "gateway/io/mqtt_probe.h"
#include "gateway/io/mqtt_queue.h"
#include "gateway/io/mqtt_reason.h"

enum link_state { STATE_IDLE, STATE_RESOLVING, STATE_CONNECTING, STATE_PROBING, STATE_UP, STATE_DRAINING, STATE_LEAVING };
enum flight_state { FLIGHT_FREE, FLIGHT_WAITING, FLIGHT_FAILED };

struct flight { /* a message handed to the library; its address is the library's context */
    struct link *link;
    uint32_t epoch; /* of the connection it was sent on */
    uint16_t slot;
    enum flight_state state;
};

/* One of the list. Probes belong to it, so that a name service that hangs for one is no answer for another, and that there is never
 * more than one thread waiting for each. */
struct link_broker {
    const char *host, *uri;
    uint16_t port;
    bool tls;
    bool numeric;             /* the host is an address */
    bool version_sure;        /* it said itself that it does not speak MQTT 5 */
    struct mqtt_probe *probe; /* under way, perhaps since an earlier attempt */
    uint32_t probe_epoch;
};

struct link {
    struct mqtt *mqtt;
    uint16_t index;
    struct config_mqtt config; /* its texts are copies */
    const char *status_topic, *command_filter;
    struct link_broker brokers[BROKERS_MAX];
    bool commands; /* are subscribed to */
    _Atomic uint64_t dropped; /* commands, since the start */

    /* The pump's own. */
    struct link_broker *broker; /* of this attempt or connection */
    void *handle;
    const struct link_broker *handle_broker; /* the handle was made for */
    uint8_t handle_version;                  /* and for this */
    uint8_t version;                         /* 5 or 4: to be tried */
    bool fell_back;                          /* within this mqtt_connect */
    bool ready, ending;     /* messages may go the short way; link_end is under way */
    enum link_state state;
    int64_t deadline_us;
    uint32_t probes; /* so far, for their epochs */
    struct mqtt_failure failure;
    char failure_text[64], failure_tls[64];

    bool direct;              /* under mqtt->gate: as `ready`, and the gate is open */
    atomic_uint sends_queued; /* given to the pump and not yet handled */

    /* Under mqtt->lock. */
    bool live; /* between link_up and link_down */
    bool draining;
    unsigned bank; /* of flights, in use by this connection */
    uint32_t epoch, in_flight;
    int64_t progress_us; /* of the last acknowledgement, or when the first of the flights took off */
    char tls_text[64];   /* OpenSSL's, of this attempt */
    int leave_reason;    /* of the broker's DISCONNECT, or 0 */
    struct mqtt_bucket bucket;
    struct flight flights[2][WINDOW_MAX];
};

struct mqtt {
    struct mqtt_queue queue;
    struct arena arena;
    const char *credentials_dir, *will_payload;
    struct mqtt_sink sink;
    pthread_t pump;
    bool closing; /* the pump's own */
    int64_t direct_from_us; /* the loop's own */
    pthread_mutex_t gate;
    _Atomic int64_t turn_us;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool muted, done, abandoned; /* under lock */
    uint16_t links_count;
    struct link links[];
};

/* mqtt_link.c */
void mqtt_link_command(struct mqtt *mqtt, const struct mqtt_command *command);
int64_t mqtt_link_deadline_us(struct link *link); /* NOW_NEVER for none */
void mqtt_link_overdue(struct link *link);        /* the deadline has passed */

/* mqtt_gate.c */
void mqtt_gate_init(struct mqtt *mqtt);
void mqtt_gate_done(struct mqtt *mqtt);
/* After a change of state, `ready` or `ending`, and before what it shuts the gate for. */
void mqtt_gate_look(struct mqtt *mqtt);
/* Loop thread. False: not sent, nothing happened. */
bool mqtt_gate_send(struct link *link, const struct mqtt_command *send);
/* Whoever then calls mqtt_handle_send. */
struct flight *mqtt_flight_begin(struct link *link, uint16_t slot);

/* mqtt.c */
#define MQTT_HANDLE_OK 0
#define MQTT_HANDLE_DISCONNECTED (-3)
#define MQTT_HANDLE_BAD_TOPIC (-5)

/* Each returns the library's code. mqtt_handle_connect makes the handle when there is none for link->version. */
int mqtt_handle_connect(struct link *link, const char *password);
int mqtt_handle_subscribe(struct link *link);
int mqtt_handle_send(struct link *link, struct flight *flight, const struct mqtt_command *send);
int mqtt_handle_leave(struct link *link);
/* Answers, on this thread, whatever the library still held. */
void mqtt_handle_drop(struct link *link);

/* Names of the library's codes and of MQTT 5 reasons, for a person. */
const char *mqtt_code_text(int code);
const char *mqtt_reason_text(int reason);

/* The trace of the host name check, for links that connect by name or also by address; the latter traces every call. Off from the
 * start: left alone, the library writes a line for each packet into a buffer. */
enum mqtt_trace { TRACE_OFF, TRACE_NAMES, TRACE_ADDRESSES };
void mqtt_trace_host_check(enum mqtt_trace trace);

#endif
