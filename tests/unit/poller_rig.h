/* SPDX-License-Identifier: Apache-2.0 */
/* A poller with a small scripted bus under a virtual clock. Every step is followed by poller_check, every answer by a check
 * that it ended in what the contract says. */
#ifndef YANHUO_TESTS_POLLER_RIG_H
#define YANHUO_TESTS_POLLER_RIG_H

#include <stddef.h>

#include "base/arena.h"
#include "base/prng.h"
#include "sensors/poller.h"

#define RIG_DEVICES_MAX 8
#define RIG_POINTS_MAX 16
#define RIG_COMING_MAX 16 /* answers that are still on their way */
#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

struct rig_slave {
    bool silent, corrupt, wrong_echo;
    uint8_t exception;      /* answers everything with this */
    uint16_t registers_max; /* reads of more are answered by exception 2; 0 = no limit */
    uint16_t missing;       /* a read that includes this register is answered by exception 2; 0: none is missing */
    uint8_t write_exception;
    int64_t turnaround_us;
    unsigned late_percent;  /* so many of its answers come after they were given up ... */
    int64_t late_max_us;    /* ... by up to this */
    bool late_first_only;   /* only those to requests for address 0 */
    bool forgets;           /* what is written is not kept */
    uint8_t read_exception; /* a read of what was written is answered by this */
    struct {
        uint16_t address, value;
        bool coil, set;
    } kept[4];              /* the latest writes, in turn */
    unsigned asked, writes; /* requests it was sent */
    unsigned lates;
    uint16_t last_write_address, last_write_value;
};

/* An answer on its way. Whatever is asked of the unit when it comes, it is taken if it looks right. */
struct rig_coming {
    uint8_t unit_id; /* 0: free */
    int64_t begins_us;
    struct pdu pdu;
};

struct rig {
    struct arena arena;
    struct trace trace;
    struct bus_spec bus;
    struct device_spec specs[RIG_DEVICES_MAX];
    struct point points[RIG_DEVICES_MAX][RIG_POINTS_MAX];
    struct rig_slave slaves[RIG_DEVICES_MAX];
    struct poller *poller;
    bool disconnected;
    int64_t now_us;
    int64_t answer_at_us; /* NOW_NEVER when nothing is under way */
    int64_t begins_us;    /* the first byte of that answer; NOW_NEVER: nothing comes */
    struct rig_coming *heard; /* it */
    bool ignores_cut;     /* a bus that gives nothing up for a write */
    unsigned cuts;
    bool hold_releases;   /* answer a hold with RELEASE at once */
    struct bus_request request;
    struct bus_answer answer;
    struct prng prng;
    struct rig_coming coming[RIG_COMING_MAX];
    struct poller_effects effects;
    char story[8192]; /* every trace line */
    unsigned requests, polls, written, guests, steps;
    uint32_t guest_id; /* of the last one */
    struct guest_answer guest;
    unsigned reads_under_way, writes_under_way;
    /* Called after each step that has effects; may be NULL. */
    void (*watch)(struct rig *rig, const struct poller_effects *effects);
    void *context;
};

/* Devices d0 .. with unit ids 1 .. and one holding register at 0 read each second; change them before rig_begin. */
void rig_init(struct rig *rig, enum bus_kind kind, uint16_t devices_count);
struct point *rig_point(struct rig *rig, uint16_t device, enum point_read read, uint16_t address);
void rig_begin(struct rig *rig, uint16_t devices_count); /* started, and asking */
void rig_start(struct rig *rig, uint16_t devices_count); /* started only */
void rig_done(struct rig *rig);

void rig_step(struct rig *rig, enum poller_event_kind kind);
void rig_write(struct rig *rig, uint16_t device, uint16_t point, double value, uint32_t id);
/* Asks for 100 ms. */
void rig_guest(struct rig *rig, uint8_t unit_id, enum frame_function function, uint16_t address, uint16_t count);
/* To the next answer or wake; false when nothing will happen before until_us. */
bool rig_advance(struct rig *rig, int64_t until_us);
void rig_run(struct rig *rig, int64_t until_us);

#endif
