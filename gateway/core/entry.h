/* SPDX-License-Identifier: Apache-2.0 */
/* An entry is what is accepted, stored and delivered: the readings of one device, or one event. It is sealed once, with its
 * id, and never changed: the same bytes stand in memory, in the store and in a replay; each uplink renders them its own way.
 * An id is gateway-start-seq: `start` is 64 random bits of the process start that sealed it, `seq` counts entries in this
 * store. Pure; any thread.
 *
 * Sealed layout, little-endian: size u32, lane u8, kind u8, uplinks u16, flags u8, seq u64, start u64, at_ms u64, body.
 * Sealed entries stand one after the other without gaps, so a batch of them is one run of bytes. */
#ifndef YANHUO_ENTRY_H
#define YANHUO_ENTRY_H

#include "base/bytes.h"
#include "base/now.h"
#include "config/config.h"
#include "sensors/point.h"

/* Each lane has its own order, cursor and quota. Fire is a lane of its own, so that it overtakes everything by being asked first. */
enum lane { LANE_FIRE, LANE_EVENT, LANE_READING, LANES_COUNT };

enum entry_kind { /* stored: never renumbered */
    ENTRY_READINGS_1 = 1, /* readings packed each for itself: read, and no longer sealed */
    ENTRY_ALARM = 2,  /* an alarm's transition */
    ENTRY_ACTION = 3, /* a local write and what came of it */
    ENTRY_ROSTER = 4, /* at start: an occurrence that is still open */
    ENTRY_GAP = 5,    /* entries dropped before delivery, counted */
    ENTRY_CLOCK = 6,  /* the wall clock became trusted, or jumped */
    ENTRY_SYSTEM = 7, /* started, stopped, configuration changed */
    ENTRY_COMMAND = 8,     /* a person's command that was accepted */
    ENTRY_PROBLEM = 9,     /* opened, assigned, rectified, closed */
    ENTRY_MAINTENANCE = 10, /* a record of work done; body as COMMAND */
    ENTRY_WALK_TEST = 11,  /* begun, or its result */
    ENTRY_CHATTER = 12,    /* an alarm that comes and goes: begun, ended */
    ENTRY_FLOOD = 13,      /* more alarms than a person can take in: begun, ended */
    ENTRY_REMOVED = 14,    /* an alarm that is no longer configured, as it was left; body as ALARM */
    ENTRY_CLEARED = 15,    /* told as the end of that alarm's retained topic, not as an event */
    ENTRY_READINGS = 16,
};

const char *lane_name(enum lane lane);

struct entry { /* a view; body points into the sealed bytes */
    enum lane lane;
    enum entry_kind kind;
    uint16_t uplinks; /* bit per durable uplink number: whom it is for */
    bool trusted;     /* the clock was trusted when at_ms was read */
    uint64_t seq, start;
    int64_t at_ms;
    const uint8_t *body;
    uint32_t body_size;
};

#define ENTRY_HEADER_SIZE 33

/* Writes the sealed form; false (nothing usable written) when it does not fit. */
bool entry_seal(const struct entry *entry, struct bytes_writer *writer);
/* Reads the sealed entry at the start of `bytes`; false when it is cut or damaged. *ret_size is its whole length. */
bool entry_open(const uint8_t *bytes, size_t size, struct entry *ret_entry, size_t *ret_size);

/* ---- the names behind numbers that outlive a configuration ---- */

/* A series is a point with its unit and scale; its number is given by the store once and never reused, so that stored
 * readings keep their names when the configuration changes. */
struct series {
    const char *device, *point;
};

struct series_directory {
    uint32_t count; /* numbers 0 .. count - 1 */
    const struct series *items;
    const uint32_t *of_point; /* global point index -> number */
};

/* ---- readings: each packed against the one before it, about 3 bytes in a poll of sensors ---- */

struct packed_reading {
    uint32_t series;
    int64_t at_ms;
    uint8_t quality, reason;
    struct value value;
};

/* The reading before: what the next one is told against. Who stops within a body and goes on later keeps it with the position. */
struct reading_order {
    int64_t series; /* -1 before the first */
    int64_t at_ms;
    bool packing_1; /* of ENTRY_READINGS_1: at_ms is the entry's, and stays */
};
void reading_order_begin(struct reading_order *order, int64_t at_ms);
/* What the first reading of an entry of either kind is told against. */
struct reading_order entry_order(const struct entry *entry);

#define READING_SIZE_MAX (VALUE_TEXT_SIZE + 32) /* packed, at most: two bytes, two varints, the value */
/* Never with the order of an ENTRY_READINGS_1. When the body is full afterwards, the order is of no use any more. */
void entry_put_reading(struct bytes_writer *body, struct reading_order *order, const struct packed_reading *reading);
/* Takes the next reading; false at the end or when damaged (then reader->failed), and then the order stays. */
bool entry_get_reading(struct bytes_reader *body, struct reading_order *order, struct packed_reading *ret_reading);
/* The same of the packing before. */
bool entry_get_reading_1(struct bytes_reader *body, int64_t entry_at_ms, struct packed_reading *ret_reading);
/* How many there are, up to damage. */
uint64_t entry_count_readings(const uint8_t *bytes, size_t size);

/* A value alone, as it stands in events. */
void entry_put_value(struct bytes_writer *body, const struct value *value);
void entry_get_value(struct bytes_reader *body, struct value *ret_value);

/* ---- events: everything a reader needs, as it was then ---- */

#define EVENT_TEXT_SIZE 160

struct alarm_event { /* ENTRY_ALARM, ENTRY_ROSTER, ENTRY_REMOVED: class and priority may be ALARM_UNKNOWN */
    char device[NAME_SIZE], alarm[NAME_SIZE];
    uint64_t occurrence_start, occurrence_seq; /* id of the entry that raised it; 0, 0 before the first */
    uint8_t class, priority, state;            /* enum alarm_class, priority, alarm_state */
    uint8_t cause;                             /* enum alarm_cause: what made this transition */
    char condition[16];                        /* above, below, equal, communication */
    struct value value;                        /* what decided it; VALUE_NONE for communication */
    char unit[16];
    bool has_limit;
    double limit;
    int64_t since_ms; /* when the condition became true */
    char place[NAME_SIZE], place_name[EVENT_TEXT_SIZE], address[EVENT_TEXT_SIZE], phone[NAME_SIZE], location[EVENT_TEXT_SIZE];
    char zh[EVENT_TEXT_SIZE], en[EVENT_TEXT_SIZE];
    bool test;
    char by[NAME_SIZE], reason[EVENT_TEXT_SIZE]; /* who did it or put it aside, and why; "" when nobody did */
    int64_t until_ms;                            /* the end of a shelf or out of service; 0: none */
    char remedy_zh[EVENT_TEXT_SIZE], remedy_en[EVENT_TEXT_SIZE];
};
void entry_put_alarm(struct bytes_writer *body, const struct alarm_event *event);
bool entry_get_alarm(const struct entry *entry, struct alarm_event *ret_event);

struct cleared_event { /* ENTRY_CLEARED */
    char device[NAME_SIZE], alarm[NAME_SIZE];
};
void entry_put_cleared(struct bytes_writer *body, const struct cleared_event *event);
bool entry_get_cleared(const struct entry *entry, struct cleared_event *ret_event);

struct action_event { /* ENTRY_ACTION */
    char action[NAME_SIZE], device[NAME_SIZE], point[NAME_SIZE], alarm_device[NAME_SIZE], alarm[NAME_SIZE];
    double value;
    bool ok;
    uint8_t attempt;
    char why[EVENT_TEXT_SIZE]; /* "" when done; "released" when a reset ended it */
    bool test;                 /* of a walk test */
    char by[NAME_SIZE];        /* a write by command: whose; action and alarm are "" then */
};
void entry_put_action(struct bytes_writer *body, const struct action_event *event);
bool entry_get_action(const struct entry *entry, struct action_event *ret_event);

struct gap_event { /* ENTRY_GAP */
    uint8_t lane;
    uint64_t from_seq, to_seq, count; /* entries */
    char why[EVENT_TEXT_SIZE];
};
void entry_put_gap(struct bytes_writer *body, const struct gap_event *event);
bool entry_get_gap(const struct entry *entry, struct gap_event *ret_event);

struct system_event { /* ENTRY_CLOCK, ENTRY_SYSTEM */
    char what[NAME_SIZE];        /* "started", "stopped", "clock", "configuration" */
    char detail[EVENT_TEXT_SIZE];
    int64_t offset_ms;           /* clock: how far the wall clock was moved */
};
void entry_put_system(struct bytes_writer *body, const struct system_event *event);
bool entry_get_system(const struct entry *entry, struct system_event *ret_event);

struct command;
void entry_put_command(struct bytes_writer *body, const struct command *command);
bool entry_get_command(const struct entry *entry, struct command *ret_command); /* channel apart, which stands in peer */

struct problem_event { /* ENTRY_PROBLEM */
    uint64_t start, seq; /* its id */
    uint8_t state;       /* enum problem_state */
    int64_t opened_ms;
    uint32_t occurrences;
    char device[NAME_SIZE], alarm[NAME_SIZE], to[NAME_SIZE], by[NAME_SIZE], what[EVENT_TEXT_SIZE];
};
void entry_put_problem(struct bytes_writer *body, const struct problem_event *event);
bool entry_get_problem(const struct entry *entry, struct problem_event *ret_event);

#define WALK_PART_MAX 48       /* detectors of one event: 48 x 140 bytes of names and figures stay below ENTRY_SIZE */
#define WALK_EVENT_SIZE 8192
struct walk_item {
    char device[NAME_SIZE], alarm[NAME_SIZE];
    int64_t at_ms;      /* 0: not seen */
    int32_t latency_ms; /* -1: not acknowledged */
};
struct walk_event { /* ENTRY_WALK_TEST */
    bool ended, inhibit;
    uint16_t part, detectors, seen, items_count;
    int64_t began_ms;
    char by[NAME_SIZE], id[NAME_SIZE], place[NAME_SIZE], device[NAME_SIZE];
    struct walk_item items[WALK_PART_MAX];
};
void entry_put_walk(struct bytes_writer *body, const struct walk_event *event);
bool entry_get_walk(const struct entry *entry, struct walk_event *ret_event);

struct burst_event { /* ENTRY_CHATTER, ENTRY_FLOOD */
    bool ended;
    char device[NAME_SIZE], alarm[NAME_SIZE]; /* "" for a flood */
    uint8_t state;                            /* of the alarm now, enum alarm_state */
    uint64_t number, count;                   /* of the flood; activations */
    int64_t first_ms, last_ms;
};
void entry_put_burst(struct bytes_writer *body, const struct burst_event *event);
bool entry_get_burst(const struct entry *entry, struct burst_event *ret_event);

#endif
