/* SPDX-License-Identifier: Apache-2.0 */
/* A core around the small site of core_site.h, with a store that keeps every record and can be cut at any time. Times are
 * milliseconds. */
#ifndef YANHUO_TESTS_CORE_RIG_H
#define YANHUO_TESTS_CORE_RIG_H

#include "core_site.h"
#include "gateway/core/core.h"

#define CORE_RIG_RECORDS_MAX 4096

struct core_rig_record {
    char owner[RECORD_NAME_SIZE], name[RECORD_NAME_SIZE];
    uint8_t bytes[RECORD_SIZE];
    uint16_t size;  /* 0: removed */
    enum lane lane; /* of the run it came with */
};

struct core_rig {
    struct site site;
    struct arena arena;
    struct trace trace;
    struct core core;
    struct engine_counters counters;
    struct effects effects;
    bool running;
    uint64_t start;
    char said[65536]; /* the trace since core_rig_begin or core_rig_hush */
    struct write_command writes[16]; /* handed to a bus since the last core_rig_write_ends */
    unsigned writes_count;
    struct core_rig_record records[CORE_RIG_RECORDS_MAX]; /* as the store has them */
    struct store_record stored[CORE_RIG_RECORDS_MAX];
    unsigned records_count;
    uint64_t commands; /* asked so far: makes their ids */
    struct command_outcome outcome; /* of the last one */
};

/* `change` alters the site before the start; NULL: nothing. */
struct core_rig *core_rig_begin(void (*change)(struct site *site));
void core_rig_end(struct core_rig *rig);
/* What is not in the store is gone; the same site starts again. `trusted`: the wall clock is. */
void core_rig_cut(struct core_rig *rig, int64_t ms, bool trusted);

/* One step as the engine makes it, with commits that succeed at once. */
void core_rig_step(struct core_rig *rig, int64_t ms);
/* A good reading of one point; QUALITY_BAD otherwise. Then a step. */
void core_rig_poll(struct core_rig *rig, int64_t ms, uint16_t device, uint16_t point, double value);
void core_rig_poll_bad(struct core_rig *rig, int64_t ms, uint16_t device, uint16_t point);
/* Several points of one device in one reply: count values from point 0 on. */
void core_rig_poll_many(struct core_rig *rig, int64_t ms, uint16_t device, const double *values, unsigned count);
void core_rig_device(struct core_rig *rig, int64_t ms, uint16_t device, enum device_state state);
/* The oldest write that was handed, answered with this echo. */
void core_rig_write_ends(struct core_rig *rig, int64_t ms, bool ok);

/* A command with an id of its own, issued now, for a minute, over the local socket by "W", authorised; for an alarm ("device-0/alarm-0"),
 * a device, or "". */
struct command core_rig_command(struct core_rig *rig, int64_t ms, enum command_verb verb, const char *target);
/* Carries it out and makes a step. */
bool core_rig_ask(struct core_rig *rig, int64_t ms, const struct command *command);
/* The same in one; shelves for ten minutes. */
bool core_rig_do(struct core_rig *rig, int64_t ms, enum command_verb verb, const char *target);

enum alarm_state core_rig_state(const struct core_rig *rig, uint16_t alarm);
void core_rig_hush(struct core_rig *rig);
bool core_rig_said(const struct core_rig *rig, const char *words);
/* How many entries of this kind were sealed from this seq on, in both lanes of events; *ret_newest is the newest of them. */
unsigned core_rig_count(const struct core_rig *rig, enum entry_kind kind, uint64_t from_seq, struct entry *ret_newest);
struct alarm_event core_rig_newest_alarm(const struct core_rig *rig);
/* Whether the retained state was to be sent since the last call. */
bool core_rig_retained(struct core_rig *rig, uint16_t alarm);
const struct core_rig_record *core_rig_record(const struct core_rig *rig, const char *owner, const char *name); /* NULL: none */
enum lane core_rig_record_lane(const struct core_rig *rig, const char *owner, const char *name); /* of its newest run, also of a removed one's */

#endif
