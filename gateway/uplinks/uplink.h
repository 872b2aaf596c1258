/* SPDX-License-Identifier: Apache-2.0 */
/* One northbound link: connecting and backing off, the window, and what is sent next. Pure; owned by the engine.
 * The drawing, the order of sending and the guarantees stand at the top of uplink.c. */
#ifndef YANHUO_UPLINK_H
#define YANHUO_UPLINK_H

#include "base/prng.h"
#include "base/trace.h"
#include "gateway/core/core.h"
#include "gateway/uplinks/flow.h"
#include "gateway/uplinks/mqtt_json.h"
#include "gateway/uplinks/pace.h"
#include "gateway/uplinks/replies.h"

#define UPLINK_BACKOFF_MS 1000      /* first pause; doubles */
#define UPLINK_BACKOFF_MAX_MS 60000 /* with the quarter more by chance, a broker that came back is found within 75 s */
#define UPLINK_STEADY_US 30000000   /* up for this long: the next pause is the first again */
#define UPLINK_FLAPS_MAX 3          /* up at all: the broker is there, and the next pause is 10 s at most */
#define UPLINK_FLAPS_TOLD 3         /* as many connections in a row that broke before they were steady are told once, with the usual cause */
#define UPLINK_AWAY_US 600000000    /* so long on another broker than the first: it was restarted or repaired by now, and is tried first */
#define UPLINK_CURSOR_US 1000000    /* a cursor is told to the store at most this often */
#define UPLINK_HEALTH_US 60000000
#define UPLINK_CLOSE_US 2000000    /* at stop: how long acknowledgements are waited for */
#define UPLINK_DELAY_MAX_US 250000  /* readings and backlog in flight are kept so low that they lengthen acknowledgements by no more */
#define UPLINK_BYTES_MAX 131072     /* of payload in flight, beyond which readings and backlog wait: what a library may lose of its memory when a
                                     * connection breaks with a full socket (mqtt.c); 10 Mbit/s at 100 ms of delay */
#define UPLINK_READINGS_MIN 4       /* live readings always keep this share */

enum uplink_state { UPLINK_DOWN, UPLINK_CONNECTING, UPLINK_UP, UPLINK_CLOSING, UPLINK_CLOSED };

enum slot_kind { SLOT_FREE, SLOT_STATUS, SLOT_HEALTH, SLOT_ALARM, SLOT_REPLY, SLOT_META, SLOT_LIVE, SLOT_BACKLOG };

struct uplink_share { /* how much of the window what can wait may take, as the link bears it */
    uint16_t cap, acks;
};

struct uplink_slot {
    enum slot_kind kind;
    enum lane lane; /* LIVE, BACKLOG */
    uint32_t item;  /* place in its flow; alarm or device index; number of a reply */
    uint32_t size;  /* of the payload */
    int64_t sent_us;
};

struct uplink_queue { /* indices that wait, each at most once */
    uint16_t *items;
    bool *queued; /* by index; shared by the fire and the other alarm queue */
    uint32_t size, first, count;
};

struct uplink_rows { /* what the store answered and is not sent yet */
    const uint8_t *bytes;
    size_t size, position;
    enum lane lane;
    uint64_t through_seq;
    bool asked, loaded;
    bool stale;          /* asked by a connection that is gone: the answer is nobody's */
    int64_t retry_at_us; /* after the store could not answer; 0 otherwise */
};

struct uplink {
    const struct config_uplink *rule;
    uint16_t index, bit;
    const struct core *core;
    struct mqtt_json json;
    struct trace *trace;
    struct engine_counters *counters;
    struct prng prng;

    enum uplink_state state;
    bool want_disconnect, stopping; /* effects that wait for room */
    int64_t retry_at_us, up_since_us, close_at_us;
    int64_t since_ms; /* the status topic's "since" */
    uint32_t failures; /* rounds through the list of brokers without a steady connection */
    uint8_t broker;    /* of the list: in use, or next */
    uint8_t tried;     /* brokers of this round */
    uint8_t flaps;     /* connections in a row that broke before they were steady */
    uint8_t told[BROKERS_MAX]; /* 1 + the reason for being down that stands in the log of each broker; 0: none */
    bool refusal_told; /* of this connection */

    struct uplink_slot slots[WINDOW_MAX];
    uint16_t free_slots[WINDOW_MAX];
    uint16_t window, in_flight, readings_in_flight, backlog_in_flight;
    uint32_t bytes_in_flight;
    struct uplink_share readings, backlog;
    struct pace pace;      /* of the backlog */
    int64_t pace_wake_us; /* when more of the backlog may go; NOW_NEVER: nothing waits for that */
    int64_t fastest_us; /* shortest time to an acknowledgement on this connection */

    bool status_due;
    int64_t health_due_us;
    struct uplink_queue fire_alarms, other_alarms, metas;
    struct replies replies;
    uint64_t flood_dropped; /* commands, in the flood that goes on; 0: none does */

    uint64_t delivered_seq; /* the live event whose acknowledgement came in this step; 0: none */
    struct flow flows[LANES_COUNT];
    int64_t cursor_due_us[LANES_COUNT]; /* NOW_NEVER: the store knows it */
    struct uplink_rows rows;
};

void uplink_init(struct uplink *uplink, const struct config *config, uint16_t index, const struct core *core, const struct series_directory *series,
                 struct arena *arena, struct trace *trace, struct engine_counters *counters);
void uplink_on_start(struct uplink *uplink, const struct now *now, uint64_t start, uint64_t seed, const struct store_image *image);
void uplink_on_link_up(struct uplink *uplink, const struct now *now, uint16_t receive_max, uint8_t version);
void uplink_on_link_down(struct uplink *uplink, const struct now *now, enum link_reason reason, const char *text);
void uplink_on_acked(struct uplink *uplink, const struct event *event);
void uplink_on_rows(struct uplink *uplink, const struct event *event);
void uplink_on_clock(struct uplink *uplink); /* moved, or its trust changed: the status says so */
void uplink_on_alarm(struct uplink *uplink, uint16_t alarm);
/* What became of a command that came through this uplink; one without an id has nowhere to be answered. */
void uplink_on_command(struct uplink *uplink, const struct command_reply *reply);
void uplink_on_flood(struct uplink *uplink, const struct now *now, uint64_t dropped);
void uplink_on_stop(struct uplink *uplink, const struct now *now);

void uplink_pump(struct uplink *uplink, const struct now *now, struct effects *effects);
int64_t uplink_next_wake(const struct uplink *uplink);
void uplink_check(const struct uplink *uplink);

#endif
