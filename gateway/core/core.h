/* SPDX-License-Identifier: Apache-2.0 */
/* The road of a reading inside the gateway: alarms, actions, entries. Pure; owned by the engine.
 * Events change state; core_pump turns state into effects. Nothing is wished for that is not first written in the state, so
 * a step that runs out of room for effects forgets nothing. */
#ifndef YANHUO_CORE_H
#define YANHUO_CORE_H

#include "base/heap.h"
#include "base/trace.h"
#include "gateway/core/action.h"
#include "gateway/core/chatter.h"
#include "gateway/core/condition.h"
#include "gateway/core/derive.h"
#include "gateway/core/event.h"
#include "gateway/core/journal.h"
#include "gateway/core/problem.h"
#include "gateway/core/publish.h"
#include "gateway/core/records.h"
#include "gateway/core/walk.h"

#define CORE_STORE_RETRY_US 1000000 /* after a failed commit */
#define CORE_EVIDENCE_US 5000000 /* between two commits of readings that events bring along */
#define CORE_GAP_EVERY_US 10000000      /* a loss that goes on is told after this, then twice as late each time, */
#define CORE_GAP_EVERY_MAX_US 600000000 /* up to this: an outage of days must not crowd alarms out of memory with gaps */
#define CORE_CLOCK_JUMP_MS 2000     /* a wall clock that moved further than this against monotonic time has been set */

struct core_alarm {
    struct alarm alarm;
    struct condition condition; /* of a composite */
    struct chatter chatter;
    uint64_t event_seq; /* of its newest event, or of the one about its chattering that stands for it */
    bool changed; /* in core.changed */
    bool active;  /* counted in alarms_active */
    bool composite_due; /* in core.composites_due */
    bool shelved_as_configured;
    bool judged;  /* by evidence since start; before that "normal" is only what nobody has contradicted, and is not told */
    bool test;    /* came during a walk test: told as a test, retained state and records untouched */
};

struct core_device {
    enum device_state state;
    uint16_t communication; /* its communication alarm, or CONFIG_NONE */
    uint16_t blind_points;  /* fire points that gave no good value DEVICE_MISSES_MAX times in a row */
};

/* Ids of accepted commands, remembered until they have expired: none is carried out twice, over a restart either. */
struct core_commands {
    struct {
        uint64_t hash;
        int64_t expires_ms; /* 0: free */
    } kept[COMMANDS_KEPT];
};

#define MANUAL_WRITES_MAX 8 /* by command, under way at one time */
struct core_manual {
    bool used, handed;
    uint32_t write_id;
    uint16_t device, point;
    double value;
    char by[NAME_SIZE];
};

struct core_derived {
    struct derived *items; /* as configured: inputs before results */
    struct reading *newest; /* by global point; NULL when nothing is derived */
    uint8_t *polled;        /* by global point: it was polled since start */
    uint32_t *point_first;  /* by global point: what is computed from it is point_items[first[p]] .. [first[p + 1] - 1] */
    uint16_t *point_items;
    char (*record_names)[RECORD_NAME_SIZE]; /* of what is durable: ".POINT" */
    uint64_t dirty[(DERIVED_MAX + 63) / 64];
    int64_t save_at_us;
};

struct core_removed { /* core_removed.c: what is stored and no longer configured */
    struct core_removed_item {
        char owner[RECORD_NAME_SIZE], name[RECORD_NAME_SIZE];
        uint8_t bytes[RECORD_SIZE];
        uint16_t size;
    } *items; /* REMOVED_MAX */
    uint16_t count, told; /* of them */
    uint32_t left;        /* more than fit: their records stay for the next start */
};

#define CORE_GATEWAY "gateway" /* the device that the gateway's own alarms are told of; the loader keeps the name free */
#define CORE_SETTLED_US 60000000 /* a part that was well for so long after the start is told so */

struct core_vitals { /* core_vitals.c; the alarm of part i is core.alarms[config->alarms_count + i] */
    struct vitals_part parts[VITALS_PARTS_MAX];
    uint16_t count;
    struct config_alarm *rules;
    uint64_t replace_due; /* bit per part */
    uint16_t restart_due; /* for which part, or CONFIG_NONE */
    int64_t settled_us;
    bool store_stuck;
    struct disk_status disk; /* as the store said last */
};

struct core {
    const struct config *config;
    struct trace *trace;
    struct journal journal;
    struct publisher publisher;

    struct core_alarm *alarms; /* as configured, then the gateway's own */
    uint16_t alarms_count;     /* of both */
    struct core_vitals vitals;
    struct heap alarm_deadlines;
    uint16_t *alarms_by_name;     /* indices in the order of device and alarm name: to find stored records */
    uint32_t *point_alarms_first; /* by global point: its alarms, composites too, are point_alarms[first[p]] .. [first[p + 1] - 1] */
    uint16_t *point_alarms;
    struct flood flood;
    uint16_t *composites_due; /* composite alarms that a reading of this poll stands in, each once */
    uint16_t composites_due_count;
    bool suppressions; /* some alarm is suppressed by another */
    bool releases_due; /* one that suppresses others may be active no more: core_release_suppressed */
    uint16_t *changed; /* alarms whose state changed since core_changed_clear, each once */
    uint16_t changed_count;
    char numbers[PROBLEMS_MAX > COMMANDS_KEPT ? PROBLEMS_MAX : COMMANDS_KEPT][8]; /* names of numbered records */
    struct records records; /* core_records.c says what stands where */
    struct core_commands commands;
    struct core_manual manual[MANUAL_WRITES_MAX];
    struct walk walk;
    struct problems problems;
    struct core_derived derived;
    struct core_removed removed;

    struct action *actions;
    bool *point_written; /* by global point: some action writes it */
    uint16_t *action_alarms; /* by action: its alarm for when it cannot be carried out, or CONFIG_NONE */
    uint32_t write_id_next;

    struct core_device *devices;
    uint8_t *point_quality; /* by global point: enum quality of its newest reading */
    uint8_t *point_blind;   /* by global point of class fire: polls in a row without a good value, up to DEVICE_MISSES_MAX */
    uint16_t release_bus;   /* the bus whose line waits for the verdict, or CONFIG_NONE */

    int64_t readings_due_us;             /* when the readings lane goes to the store */
    int64_t evidence_us;                 /* from when on an event may bring it forward again */
    int64_t store_retry_us[LANES_COUNT]; /* after a failure; 0 otherwise */
    bool store_failing;
    struct disk_status disk_told; /* as an event */
    int64_t disk_due_us;          /* none before */
    bool disk_untold;             /* changed since the last event, which was a moment ago */
    int64_t gap_due_us, gap_pause_us;
    struct missed evicted[UPLINKS_MAX][LANES_COUNT]; /* told by the store, not yet by us */
    bool evicted_any; /* a count in there is not 0 */
    uint8_t uplink_numbers[UPLINKS_MAX]; /* configuration index -> durable number, which is a bit of an entry's mask */
    uint16_t uplinks_mask; /* durable numbers of all uplinks: whom events are for */
    const char *by; /* whose command is being carried out, or NULL: nobody's */
    bool clock_known, stopping;
    struct now clock; /* at the last event: to notice a jump */

    struct engine_counters *counters;
};

void core_init(struct core *core, const struct config *config, const struct series_directory *series, struct arena *arena, struct trace *trace,
               struct engine_counters *counters);

/* First thing in every step. Returns true when the clock was moved or its trust changed, which is told as an event. */
bool core_on_clock(struct core *core, const struct now *now);
void core_on_start(struct core *core, const struct now *now, uint64_t start, const struct store_image *image);
void core_on_polled(struct core *core, const struct polled *polled);
void core_on_written(struct core *core, const struct written *written);
void core_on_stored(struct core *core, const struct event *event);
void core_on_vitals(struct core *core, const struct event *event);
void core_on_last_words(struct core *core, const struct now *now, const char *words, const char *restarted_for);
void core_on_disk(struct core *core, const struct now *now, const struct disk_status *disk);
void core_on_time(struct core *core, const struct now *now);
void core_on_stop(struct core *core, const struct now *now);

/* Seals an event for all uplinks; for the core's own files. Returns its seq. */
uint64_t core_seal_event(struct core *core, const struct now *now, enum lane lane, enum entry_kind kind, const struct bytes_writer *body);
/* The same for these uplinks only, a bit each. */
uint64_t core_seal_event_for(struct core *core, const struct now *now, uint16_t uplinks, enum lane lane, enum entry_kind kind,
                             const struct bytes_writer *body);

/* A person's wish, read and complete: carried out and told as an event, or refused with a reason. */
void core_on_command(struct core *core, const struct now *now, const struct command *command, struct command_outcome *ret_outcome);
/* The far end has acknowledged this event: a walk test counts the way of its alarms. */
void core_on_delivered(struct core *core, const struct now *now, uint64_t seq);

/* Writes and releases; after that what may wait: the store, the history. */
void core_pump_writes(struct core *core, const struct now *now, struct effects *effects);
void core_pump_vitals(struct core *core, struct effects *effects);
void core_pump_store(struct core *core, const struct now *now, struct effects *effects);

int64_t core_next_wake(const struct core *core);
/* Everything sealed is durable, or the store fails. */
bool core_settled(const struct core *core);
void core_check(const struct core *core);

/* The present state of an alarm as a subscriber reads it. */
void core_describe_alarm(const struct core *core, uint16_t alarm, enum alarm_cause cause, struct alarm_event *ret_event);
void core_changed_clear(struct core *core);
/* An entry CLEARED whose alarm came back into the configuration before it was delivered: its topic must not be cleared any more. */
bool core_topic_in_use(const struct core *core, const struct entry *entry);

#endif
