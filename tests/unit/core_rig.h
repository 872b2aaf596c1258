/* SPDX-License-Identifier: Apache-2.0 */
/* A core around the small site of core_site.h, with a store that keeps every record and can be cut at any time. Times are
 * milliseconds. */
#ifndef YANHUO_TESTS_CORE_RIG_H
#define YANHUO_TESTS_CORE_RIG_H

#include "core_site.h"
#include "gateway/core/core.h"

#define RIG_RECORDS_MAX 2048

struct rig_record {
    char owner[RECORD_NAME_SIZE], name[RECORD_NAME_SIZE];
    uint8_t bytes[RECORD_SIZE];
    uint16_t size;  /* 0: removed */
    enum lane lane; /* of the run it came with */
};

struct rig {
    struct site site;
    struct arena arena;
    struct trace trace;
    struct core core;
    struct engine_counters counters;
    struct effects effects;
    bool running;
    uint64_t start;
    char said[65536]; /* the trace since core_rig_begin or rig_hush */
    struct write_command writes[16]; /* handed to a bus since the last rig_take_write */
    unsigned writes_count;
    struct rig_record records[RIG_RECORDS_MAX]; /* as the store has them */
    struct store_record stored[RIG_RECORDS_MAX];
    unsigned records_count;
    uint64_t commands; /* asked so far: makes their ids */
    struct command_outcome outcome; /* of the last one */
};

/* `change` alters the site before the start; NULL: nothing. */
struct rig *core_rig_begin(void (*change)(struct site *site));
void rig_end(struct rig *rig);
/* What is not in the store is gone; the same site starts again. `trusted`: the wall clock is. */
void rig_cut(struct rig *rig, int64_t ms, bool trusted);

/* One step as the engine makes it, with commits that succeed at once. */
void core_rig_step(struct rig *rig, int64_t ms);
/* A good reading of one point; QUALITY_BAD otherwise. Then a step. */
void rig_poll(struct rig *rig, int64_t ms, uint16_t device, uint16_t point, double value);
void rig_poll_bad(struct rig *rig, int64_t ms, uint16_t device, uint16_t point);
/* Several points of one device in one reply: count values from point 0 on. */
void rig_poll_many(struct rig *rig, int64_t ms, uint16_t device, const double *values, unsigned count);
void rig_device(struct rig *rig, int64_t ms, uint16_t device, enum device_state state);
/* The oldest write that was handed, answered with this echo. */
void rig_write_ends(struct rig *rig, int64_t ms, bool ok);

/* A command with an id of its own, issued now, for a minute, over the local socket by "W", authorised; for an alarm ("device-0/alarm-0"),
 * a device, or "". */
struct command rig_command(struct rig *rig, int64_t ms, enum command_verb verb, const char *target);
/* Carries it out and makes a step. */
bool rig_ask(struct rig *rig, int64_t ms, const struct command *command);
/* The same in one; shelves for ten minutes. */
bool rig_do(struct rig *rig, int64_t ms, enum command_verb verb, const char *target);

enum alarm_state rig_state(const struct rig *rig, uint16_t alarm);
void rig_hush(struct rig *rig);
bool rig_said(const struct rig *rig, const char *words);
/* How many entries of this kind were sealed from this seq on, in both lanes of events; *ret_newest is the newest of them. */
unsigned rig_count(const struct rig *rig, enum entry_kind kind, uint64_t from_seq, struct entry *ret_newest);
const struct rig_record *rig_record(const struct rig *rig, const char *owner, const char *name); /* NULL: none */
enum lane rig_record_lane(const struct rig *rig, const char *owner, const char *name); /* of its newest run, also of a removed one's */

#endif
