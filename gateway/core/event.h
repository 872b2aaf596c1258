/* SPDX-License-Identifier: Apache-2.0 */
/* What can happen and what can be wanted: the events that go into the engine and the effects that come out of it.
 * Plain data. Pointers in an event are valid during its step; pointers in effects until the next step. */
#ifndef YANHUO_EVENT_H
#define YANHUO_EVENT_H

#include "base/text.h"
#include "gateway/core/alarm.h"
#include "gateway/core/command.h"
#include "gateway/core/cursor.h"
#include "gateway/core/entry.h"
#include "gateway/core/missed.h"
#include "gateway/core/vitals.h"
#include "sensors/poller.h"

/* ---- what the store knows at start ---- */

/* What must be as it was after a power cut, beside entries: one record each, written in the same commit as the event that changed it.
 * Its key is durable: an alarm (device, alarm), a derived point's memory (device, ".point"), an action (".action", name), an accepted
 * command (".command", slot), a problem (".problem", slot). Names never begin with a dot.
 * What becomes of one whose owner is no longer configured: core_removed.c. */
#define RECORD_NAME_SIZE (NAME_SIZE + 1)
#define RECORD_SIZE 384

struct store_record {
    const char *owner, *name;
    const uint8_t *bytes;
    size_t size;
};

struct store_image {
    uint64_t next_seq;                       /* above every seq this store ever gave out, as far as it knows */
    uint8_t uplink_numbers[UPLINKS_MAX];     /* configuration index -> durable number (bit in an entry's mask) */
    struct cursor cursors[UPLINKS_MAX][LANES_COUNT]; /* by configuration index */
    uint32_t records_count;
    const struct store_record *records;
    struct series_directory series;
    bool configuration_changed; /* the hash differs from the last start's */
    bool quarantined;           /* a damaged file was put aside */
    bool absent;                /* there is no store: every STORE will fail, nothing survives a restart */
};

/* ---- events ---- */

/* How the disk is, as the store tells it. */
struct disk_status {
    bool is_volatile;     /* nothing that happens now would survive a restart */
    bool full;            /* room is made by the oldest readings */
    uint32_t quarantined; /* damaged files put aside since the start */
    uint64_t history_lost; /* readings that are not in the history, since the start: no disk, a full one, one that did not keep up, no clock for too long */
    uint64_t device_bytes_hour, device_bytes_reading; /* written to the device in the last hour, and a reading; 0 when not known */
};

enum event_kind {
    EVENT_START,
    EVENT_TICK,
    EVENT_POLLED,
    EVENT_WRITTEN,
    EVENT_STORED,
    EVENT_ROWS,
    EVENT_LINK_UP,
    EVENT_LINK_DOWN,
    EVENT_ACKED,
    EVENT_CLOCK,
    EVENT_COMMAND,
    EVENT_FLOOD,
    EVENT_STOP,
    EVENT_DISK,
    EVENT_VITALS,
};

/* Why a link is down; each has one clear sentence (link_reason_sentence). */
enum link_reason {
    LINK_LOST,        /* was up */
    LINK_REFUSED_TCP, /* nobody listens there */
    LINK_UNREACHABLE, /* no route, no name, time-out */
    LINK_CREDENTIALS, /* wrong user name or password, or not authorised */
    LINK_CERTIFICATE, /* the broker's certificate does not hold */
    LINK_PROTOCOL,    /* the broker refused for another reason */
    LINK_CLOSED,      /* by us */
};
const char *link_reason_name(enum link_reason reason);
const char *link_reason_sentence(enum link_reason reason);

enum ack_result {
    ACK_OK,
    ACK_REFUSED, /* the far end answered and will not take it (MQTT 5 reason code) */
    ACK_LOST,    /* not known to have arrived; it becomes eligible again */
};

struct event {
    enum event_kind kind;
    struct now now;
    union {
        struct {
            uint64_t start, seed; /* random bits: the start's identity, and jitter */
            const struct store_image *image;
            const char *last_words;    /* how the process before this one ended when not in order; NULL: in order, or there was none */
            const char *restarted_for; /* the part for which it ended itself; NULL: for none */
        } start;
        const struct polled *polled;
        const struct written *written;
        struct {
            enum lane lane;
            enum err err;
            uint64_t last_seq; /* the run that ended with this seq is durable (err OK) or is to be tried again */
            uint16_t evicted_uplink; /* entries that it has not got and never will: for room, or older or more than it keeps; count 0: none */
            enum lane evicted_lane;
            struct missed evicted;
        } stored;
        struct {
            uint16_t uplink;
            enum lane lane;
            enum err err;
            const uint8_t *bytes; /* sealed entries, ascending; valid until the next QUERY of this uplink */
            size_t size;
            uint64_t after_seq;   /* as asked */
            uint64_t through_seq; /* everything up to here was looked at; what is missing below it is not in the store */
        } rows;
        struct {
            uint16_t uplink;
            uint16_t receive_max; /* most unacknowledged messages the far end allows; 65535 when it says nothing */
            uint8_t version;      /* 5 or 4 (MQTT 3.1.1) */
        } link_up;
        struct {
            uint16_t uplink;
            enum link_reason reason;
            int code;         /* the library's own, for health */
            const char *text; /* more, or "" */
        } link_down;
        struct {
            uint16_t uplink, slot;
            enum ack_result result;
            int code;
            int64_t at_us; /* monotonic time at which the answer came, which may lie before this event's; 0: with it */
        } acked;
        struct {
            uint16_t parts_count;   /* as vitals_parts counts them */
            const int64_t *busy_us; /* by part, in the order of vitals_parts: how long it has made no progress */
            const struct vitals_bounds *bounds; /* by kind */
            int64_t loop_late_us; /* the loop itself; 0: in time */
            bool may_restart;     /* somebody would start the process again */
        } vitals;
        const struct disk_status *disk;
        const struct command *command; /* from a broker or a local client, read by gateway/io/command_json */
        struct {
            uint16_t uplink;
            uint64_t dropped; /* commands beyond COMMANDS_PER_S since the last such event; 0: it is over */
        } flood;
    };
};

/* ---- effects ---- */

enum effect_kind {
    EFFECT_WRITE,      /* hand a write to a bus */
    EFFECT_RELEASE,    /* the verdict on a held reply is in */
    EFFECT_STORE,      /* make a run of one lane durable, answered by STORED */
    EFFECT_HISTORY,    /* append a batch of readings to the history, not answered */
    EFFECT_CURSOR,     /* remember a cursor, lazily, not answered */
    EFFECT_QUERY,      /* read a backlog, answered by ROWS; at most one an uplink */
    EFFECT_CONNECT,    /* answered by LINK_UP or LINK_DOWN */
    EFFECT_DISCONNECT, /* answered by LINK_DOWN */
    EFFECT_SEND,       /* answered by exactly one ACKED for its slot */
    EFFECT_REPLY,      /* to a local client; a broker's client gets its reply as a SEND */
    EFFECT_NOTIFY,     /* tell the service manager */
    EFFECT_STOPPED,    /* everything that could be saved is saved */
    EFFECT_REPLACE,    /* leave a stuck line thread to itself and open the port anew */
    EFFECT_RESTART,    /* end in order, to be started again */
};

enum notify_kind { NOTIFY_READY, NOTIFY_STATUS, NOTIFY_STOPPING };

struct effect {
    enum effect_kind kind;
    union {
        struct {
            uint16_t bus;
            struct write_command command;
        } write;
        struct {
            uint16_t bus;
        } release;
        struct {
            enum lane lane;
            uint64_t first_seq, last_seq;
            const uint8_t *bytes; /* sealed entries */
            uint32_t size;
            const struct record_save *records; /* those that changed with them: one commit */
            uint16_t records_count;
        } store;
        struct {
            int64_t at_ms; /* entry_get_reading's reference time */
            const uint8_t *bytes; /* packed readings */
            uint32_t size;
        } history;
        struct {
            uint16_t uplink;
            enum lane lane;
            const struct cursor *cursor;
        } cursor;
        struct {
            uint16_t uplink;
            enum lane lane;
            uint64_t after_seq, through_seq;
        } query;
        struct {
            uint16_t uplink;
            uint8_t broker; /* CONNECT: which of the uplink's list */
        } link; /* CONNECT, DISCONNECT */
        struct {
            uint16_t uplink, slot;
            const char *topic;
            const char *payload;
            uint32_t size;
            uint8_t qos;
            bool retain;
        } send;
        struct {
            uint32_t socket_id;
            const char *payload; /* one line of JSON */
        } reply;
        struct {
            uint16_t bus;
        } replace;
        struct {
            const char *part; /* for which */
        } restart;
        struct {
            enum notify_kind kind;
            const char *status;
        } notify;
    };
};

struct record_save {
    const char *owner, *name;
    uint8_t bytes[RECORD_SIZE];
    uint16_t size; /* 0: the record is removed */
};

struct effects {
    uint16_t count;
    bool full; /* something did not fit */
    struct effect items[EFFECTS_MAX];
    uint32_t bytes_used;
    char bytes[EFFECT_BYTES_SIZE]; /* topics and payloads of this step */
};

/* What health and the tests read; kept by core and uplinks. */
/* What a bus went through since the start. */
struct bus_counters {
    uint64_t polls, extras, timeouts, corrupt, exceptions, disconnected;
    uint16_t devices_dead;
    uint16_t adapter_ms;    /* how long the line's adapter may keep bytes back; 0: not known */
    int64_t timeout_max_us; /* the longest response timeout of its devices, as learned so far */
};

struct engine_counters {
    struct bus_counters *buses; /* as configured; NULL before there is a core */
    int64_t *device_timeouts_us; /* response timeout at the newest poll, by device; 0 before the first; NULL like buses */
    uint64_t polls, polls_failed, readings, readings_bad;
    uint64_t lost[LANES_COUNT], evicted[LANES_COUNT], store_failures;
    uint64_t alarms_active, alarm_transitions, chatters;
    int64_t poll_late_max_us;
    struct disk_status disk;
    struct {
        const struct vitals_part *parts; /* NULL before there is a core */
        uint16_t count;
        bool attention; /* not all is well, or that it is well is not told yet: look each second */
        uint64_t loop_late;
        int64_t loop_late_max_us;
    } vitals;
    struct {
        uint64_t accepted, refused;
        uint64_t dropped;         /* too many, never looked at */
        uint64_t replies_dropped; /* more than REPLIES_MAX waited */
    } commands;
    struct {
        bool up;
        uint8_t broker; /* of the list: used, or tried last */
        uint64_t sent, acked, refused, resent, connects;
        uint64_t evicted; /* entries that it will not get */
        uint32_t in_flight, backlog_in_flight, window;
        enum link_reason reason;
        char text[LINE_SIZE / 4];
    } uplinks[UPLINKS_MAX];
};
/* The next free effect of this step, or NULL when the step is full: then the wish stays in the state it comes from and the next
 * step, due at once, makes it. */
struct effect *effects_add(struct effects *effects, enum effect_kind kind);
/* A text of at most `size` bytes inside the effects' own bytes; false when this step has no room for it. It is kept by adding
 * what it uses to bytes_used, before another is begun, or simply left. */
bool effects_text(struct effects *effects, struct text *ret_text, uint32_t size);

#endif
