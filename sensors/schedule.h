/* SPDX-License-Identifier: Apache-2.0 */
/* What a bus does next: pure policy over numbered jobs (reads that repeat) and numbered devices (probes of dead ones).
 * O(log n) a decision; memory from the arena at init.
 *
 * Policy
 *  1. A job is released at base + n * period. It waits from its release until it is taken; the releases that pass meanwhile
 *     are skipped and counted. Finish times never enter, so nothing drifts.
 *  2. Fire jobs go first, earliest release first. Deadline order over everything would collapse in overload; fixed ranks
 *     make the lower rank late instead of the fire.
 *  3. Lower jobs and probes go by earliest release, and on a line only when they end before the next release of a fire job
 *     ("fit check"): the line then rather idles for a moment than lets a fire point wait. When the first does not fit, the
 *     next few are tried. A network connection has no line time, so that everything fits there.
 *  4. Probes live on a budget of 5 % of the time, with some credit saved up, as long as any device on the bus is alive.
 *  5. Age rule: nothing starves. A lower job or a probe that is 10 s late goes next, whatever the budget and the fire jobs that
 *     are due say, if it ends before the next fire release; when it is 12 s late there is no pause into which it fits, and it
 *     goes whatever it delays. Only one such in a second, so that an overloaded line still mostly does fire jobs.
 *  6. Spare line time goes to extra rounds of fire jobs: when nothing is due, the one not asked for longest goes once more, if
 *     it ends before anything becomes due even when its device falls silent at that moment. An extra is no release: it takes
 *     none away and skips none. Which jobs may have one, and from when on, is told by schedule_spare after each good answer.
 *  7. A guest, at most one, goes when nothing else is due, before the extras, and like them only when it ends before the next
 *     release of a fire job. After waiting SCHEDULE_GUEST_AGE_US it goes before lower jobs and probes, once in
 *     SCHEDULE_GUEST_PAUSE_US; before a fire job never, and never without fitting. */
#ifndef YANHUO_SCHEDULE_H
#define YANHUO_SCHEDULE_H

#include "base/heap.h"

#define SCHEDULE_FIT_TRIES 4 /* lower jobs tried against the fit check in one decision */
#define SCHEDULE_AGE_US 10000000
#define SCHEDULE_FORCE_US 2000000      /* so much later also without fitting: two fire periods of a second */
#define SCHEDULE_AGE_PAUSE_US 1000000  /* between two that go by age */
#define SCHEDULE_PROBE_SHARE 20        /* 1 / 20 = 5 % */
#define SCHEDULE_SPARE_PAUSE_US 200000 /* between an answer and an extra: five looks a second are more than a detector has new to say */
#define SCHEDULE_GUEST_AGE_US 2000000
#define SCHEDULE_GUEST_PAUSE_US 5000000  /* between two guests that go by age: the lower jobs keep most of the line */
#define SCHEDULE_PROBE_CREDIT_US 1000000 /* most that is saved up: two probes of 500 ms in a row */

struct schedule_job {
    int64_t base_us, period_us;
    int64_t release_us; /* in a heap exactly when this is not NOW_NEVER */
    int64_t cost_us;    /* line time of a good transaction, for the fit check */
    int64_t spare_us;   /* the most line time it can take, for an extra */
    bool fire;
};

struct schedule {
    struct heap fire, lower; /* of jobs, by release */
    struct heap probes;      /* of devices, by time due */
    struct heap spares;      /* of fire jobs that may have an extra, by the time from which on */
    struct schedule_job *jobs;
    int64_t *probe_costs_us; /* line time of a probe that is not answered */
    bool line;               /* fit check or not */
    bool budgeted;           /* some device is alive */
    int64_t credit_us, credit_at_us;
    int64_t aged_next_us; /* the next job by age not before this */
    int64_t guest_at_us;  /* not before; NOW_NEVER: there is no guest */
    int64_t guest_since_us, guest_cost_us, guest_aged_next_us;
    int64_t wake_us; /* set by the last decision that took nothing */
    uint64_t skipped_releases;
};

struct schedule_choice {
    bool probe, extra, guest;
    uint32_t item;      /* job, or device to probe; nothing for a guest */
    int64_t release_us; /* when it was due; now for an extra and a guest */
};

void schedule_init(struct schedule *schedule, uint32_t jobs_count, uint32_t devices_count, bool line, struct arena *arena);
/* Describes a job; it is not released yet. */
void schedule_set_job(struct schedule *schedule, uint32_t job, bool fire, int64_t period_us, int64_t cost_us);
/* Begins the grid of releases: the first is at base_us. */
void schedule_begin(struct schedule *schedule, uint32_t job, int64_t base_us);
/* One more release beside the grid (a device came back, a read was split); the grid goes on as it was. */
void schedule_release(struct schedule *schedule, uint32_t job, int64_t at_us);
/* Drops a waiting release: the next is that of the grid after now_us. */
void schedule_resume(struct schedule *schedule, uint32_t job, int64_t now_us);
/* The job is not released any more until schedule_release. */
void schedule_remove(struct schedule *schedule, uint32_t job);
/* From when on a fire job may be done beside its releases, and the most line time that takes. Taking or removing it ends that. */
void schedule_spare(struct schedule *schedule, uint32_t job, int64_t from_us, int64_t cost_us);
/* When a device is to be probed next; NOW_NEVER for not at all. */
void schedule_probe(struct schedule *schedule, uint32_t device, int64_t at_us, int64_t cost_us);
/* A probe took this much of the line. */
void schedule_probe_spent(struct schedule *schedule, int64_t now_us, int64_t took_us);

/* A guest waits since `since_us` and may go from `at_us` on; NOW_NEVER for no guest. Taking it ends that. */
void schedule_guest(struct schedule *schedule, int64_t since_us, int64_t at_us, int64_t cost_us);

/* Takes what is to be done now. A job's next release is set; a probe must be set again by its owner.
 * When false, schedule->wake_us (> now_us, or NOW_NEVER) says when to ask again. */
bool schedule_take(struct schedule *schedule, int64_t now_us, struct schedule_choice *ret_choice);
void schedule_check(const struct schedule *schedule);

#endif
