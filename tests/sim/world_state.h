/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the world, for its own files and for tests that have to look closer. */
#ifndef YANHUO_TESTS_WORLD_STATE_H
#define YANHUO_TESTS_WORLD_STATE_H

#include "base/prng.h"
#include "config/load.h"
#include "gateway/engine.h"
#include "gateway/simulator/plant.h"
#include "tests/sim/world.h"

#define WORLD_BEGIN_US (1000 * SECOND)       /* not zero, so that a zero that means "unset" is told apart from the beginning */
#define WORLD_WALL_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z at the beginning */
#define UNTIMED_MS (INT64_C(1) << 50)         /* truths of a time without a trusted clock stand at this + their monotonic time, */
#define TIMED_MS (INT64_C(1) << 51)           /* the others at this + their wall time */
#define HOP_US 100                           /* between a line's thread and the loop */
#define STEPS_AT_ONCE 5000                   /* most steps at one instant: more is a busy loop */
#define TICKS_AT_ONCE 300                    /* most ticks of one machine at one instant */

/* ---- what is to come ---- */

enum coming_kind {
    COMING_ASKED,  /* a device has the whole request */
    COMING_ANSWER, /* the answer's last byte, or the time-out */
    COMING_POLLED, /* from the line's thread to the loop */
    COMING_WRITTEN,
    COMING_COMMAND, /* from the loop to the line's thread: a write or a release */
    COMING_COMMIT,  /* the writer has finished a run */
    COMING_CURSORS, /* the writer wrote the cursors */
    COMING_ROWS,
    COMING_LINK,     /* an attempt to connect ends */
    COMING_RECEIVED, /* a message is at the broker */
    COMING_ACKED,    /* its acknowledgement is here */
    COMING_DOWN,     /* a broken connection is noticed */
};

struct coming {
    int64_t at_us;
    uint64_t order;
    enum coming_kind kind;
    uint32_t process;    /* of which start; what belongs to a dead process never comes */
    uint32_t connection; /* RECEIVED, ACKED, DOWN, LINK */
    uint16_t index;      /* bus, lane or uplink */
    uint16_t slot;
    void *data; /* freed with it */
};

/* ---- models ---- */

struct model_device {
    enum world_fault fault;
    int64_t changed_us;    /* when the fault last changed */
    bool dead;             /* as its poller said last */
    int64_t dead_asked_us; /* last request while dead */
};

struct model_bus {
    struct poller *poller;
    struct trace trace;
    bool plugged, under_way;
    int64_t changed_us, sent_us, free_us; /* free_us: when the line has been silent long enough */
    struct bus_request request;
    struct pdu reply;
    struct reading told[POINTS_PER_DEVICE_MAX]; /* what the device held when it gave that reply */
    int64_t answer_at_us; /* of a reply on the line */
    int64_t turnaround_us;
    enum bus_status status;
};

struct model_point {
    int64_t good_us; /* time of its newest good reading; of the start before the first */
};

struct run { /* on its way to the store */
    bool under_way;
    enum lane lane;
    uint64_t last_seq;
    uint8_t *bytes;
    uint32_t size;
    struct record_save *records;
    uint16_t records_count;
};

struct stored_entry {
    uint64_t seq;
    uint16_t uplinks;
    uint32_t size;
    uint8_t *bytes; /* NULL: deleted or evicted */
};

struct stored_lane {
    struct stored_entry *entries;
    uint32_t count, room, first; /* nothing below `first` is left */
};

struct saved_record {
    char owner[RECORD_NAME_SIZE], name[RECORD_NAME_SIZE];
    uint8_t bytes[RECORD_SIZE];
    uint16_t size;
};

struct model_store {
    struct missed evicted[UPLINKS_MAX][LANES_COUNT]; /* not told yet */
    int64_t commit_us, stalled_until_us, free_us;
    bool failing;
    uint64_t quota;
    struct run runs[LANES_COUNT];
    struct stored_lane lanes[LANES_COUNT];
    struct cursor cursors[UPLINKS_MAX][LANES_COUNT];         /* durable */
    struct cursor cursors_written[UPLINKS_MAX][LANES_COUNT]; /* by the engine, not durable yet */
    bool cursors_coming;
    struct saved_record *records; /* each key once; size 0: removed */
    uint32_t records_count, records_room;
    uint8_t *rows[UPLINKS_MAX];
    bool asked[UPLINKS_MAX];
    int64_t readings_us;                 /* of the last run of readings */
    unsigned readings_runs, batches, together; /* runs of readings, batches of the history, and how often one came with the other */
};

struct message {
    int64_t received_us; /* NOW_NEVER: never */
    uint16_t uplink;
    uint8_t qos;
    bool retain, replayed;
    bool answered; /* acknowledged or refused, and the engine knows it */
    uint64_t start, seq; /* seq 0: not an entry */
    char *topic, *payload;
};

struct model_slot {
    bool busy;
    uint32_t message;
};

struct model_broker {
    bool reachable, connecting, linked, noticed; /* linked: the connection stands; noticed: the engine knows it stands */
    enum link_reason refuse;
    int64_t connect_us, receive_us, ack_us, jitter_us;
    const char *refuse_topic;
    uint16_t receive_max, window, in_flight;
    int64_t received_us; /* of the newest message: they keep their order */
    uint32_t connection;
    struct model_slot slots[WINDOW_MAX];
};

/* ---- the ledger: what the world knows of each entry, by seq ---- */

struct ledger_entry {
    uint64_t start;           /* 0: not heard of */
    bool stored;              /* lane and uplinks are known */
    bool durable, gone;       /* gone: dropped by the store for room */
    bool excused;             /* not durable when the power was cut */
    uint8_t lane, told_lanes; /* bit per lane: a gap event covers this seq */
    uint16_t uplinks, received, acked, refused;
};

struct ledger_clear { /* an entry that empties a retained topic: its message carries no id */
    uint64_t seq;
    uint32_t from_message; /* of the process that sealed it */
    char device[NAME_SIZE], alarm[NAME_SIZE];
};

struct order_key { /* newest first delivery of one stream of one thing to one uplink */
    uint32_t hash;
    uint64_t seq;
};

struct signal_sample {
    int64_t polled_us, delivered_us;
    bool blind, over;
    double number;
};

struct signal_change {
    int64_t at_us;
    bool active;
};

struct signal { /* of one alarm, since the start of the process */
    struct signal_sample *samples;
    struct signal_change *changes;
    uint32_t samples_count, samples_room, changes_count, changes_room;
    bool active_at_start;
    bool aside; /* was put aside since the start: its changes were not told */
};

struct world {
    uint64_t seed;
    struct prng prng;
    struct arena arena, process_arena;
    const struct config *config;
    struct plant plant;
    struct series_directory series;

    int64_t now_us, wall_offset_ms;
    bool wall_trusted, clock_jumped;
    uint32_t process, starts;
    uint64_t start;
    bool running, stopped;

    struct coming *comings; /* a binary heap */
    uint32_t comings_count, comings_room;
    uint64_t order_next;

    struct engine *engine;
    struct trace trace;
    struct effects effects;
    struct poller_effects poller_effects;

    struct model_bus *buses;
    struct model_device *devices;
    struct model_point *points;
    struct model_store store;
    struct model_broker brokers[UPLINKS_MAX];
    struct message *messages;
    uint32_t messages_count, messages_room;

    struct ledger_entry *ledger;
    uint64_t ledger_size, newest_seq, settled_seq;
    uint64_t gaps_told[UPLINKS_MAX][LANES_COUNT], evicted[UPLINKS_MAX][LANES_COUNT];
    uint64_t cursor_checked[UPLINKS_MAX][LANES_COUNT];
    struct ledger_clear *clears;
    uint32_t clears_count, clears_room;
    uint32_t process_message; /* the first message of this process */
    struct order_key *orders;
    uint32_t orders_count, orders_room;
    uint64_t *truths; /* a set of hashes of (point, time, value) */
    uint32_t truths_count, truths_room;
    struct signal *signals;
    uint8_t *blind_polls; /* by global point of class fire: polls in a row without a good value, up to 3 */
    uint64_t transitions_before; /* the engine's counter before this step */
    bool stopping;
    unsigned steps_here, ticks_here;
    uint64_t history_taken, history_waited; /* readings; those of a time when the clock was not trusted */
    uint64_t events; /* engine events since world_open */
    unsigned commands; /* asked since world_open: makes their ids */
    unsigned check_every;

    char *log;
    size_t log_length, log_room, expected_from;
    bool quiet; /* no log: for crash loops and measurements */
    bool forgets; /* payloads of readings once they were received, so that a day of them fits into memory */
};

/* world.c */
struct now world_now(const struct world *world);
struct coming *world_arrange(struct world *world, int64_t in_us, enum coming_kind kind, unsigned index, void *data);
void world_event(struct world *world, struct event *event);

/* world_plant.c */
void plant_load(struct world *world, const char *plant);
void plant_free_signals(struct world *world);

/* world_bus.c */
void bus_step(struct world *world, uint16_t bus, const struct poller_event *event);
void bus_coming(struct world *world, struct coming *coming);
void bus_clock(struct world *world);
uint16_t world_device(struct world *world, const char *name);

/* world_store.c */
void store_image(struct world *world, struct arena *arena, struct store_image *ret_image);
void store_effect(struct world *world, const struct effect *effect);
void store_coming(struct world *world, struct coming *coming);
void store_crash(struct world *world, bool keep_runs);
void store_free(struct world *world);

/* world_broker.c */
void broker_effect(struct world *world, const struct effect *effect);
void broker_coming(struct world *world, struct coming *coming);
void broker_crash(struct world *world);
uint16_t world_uplink(const struct world *world, const char *name);

/* world_log.c */
__attribute__((format(printf, 3, 4))) void log_line(struct world *world, int64_t at_us, const char *format, ...);
void log_trace(struct world *world, struct trace *trace);
void log_message(struct world *world, const struct message *message);
/* The text of a member of a flat JSON object, or "". */
const char *json_text(const char *json, const char *key, char *ret_text, size_t size);

/* world_check.c */
void check_step(struct world *world, const struct event *event);
void check_age(struct world *world);
void check_poll(struct world *world, const struct polled *polled);

/* world_ledger.c */
struct ledger_entry *ledger_at(struct world *world, uint64_t seq);
void ledger_stored(struct world *world, const uint8_t *bytes, uint32_t size);
void ledger_cursor(struct world *world, uint16_t uplink, enum lane lane, const struct cursor *cursor);
void ledger_received(struct world *world, const struct message *message);
void ledger_acked(struct world *world, const struct message *message, enum ack_result result);
void ledger_restart(struct world *world, uint64_t next_seq);
void ledger_durable(struct world *world, uint64_t seq);
bool ledger_settled(struct world *world, uint64_t through_seq, char *why, size_t size);
void truth_add(struct world *world, uint32_t point, int64_t wall_ms, const struct value *value);
bool truth_known(const struct world *world, uint32_t point, int64_t wall_ms, const struct value *value);

/* world_oracle.c */
void oracle_sample(struct world *world, const struct polled *polled);
void oracle_trace(struct world *world, const struct trace_line *line);
void oracle_begin(struct world *world);
void oracle_check(struct world *world);
/* Whether anything was heard of this alarm's signal since the start. */
bool oracle_heard(struct world *world, const char *device, const char *alarm);

void *world_grow(void *items, uint32_t count, uint32_t *room, size_t size);

#endif
