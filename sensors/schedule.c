/* SPDX-License-Identifier: Apache-2.0 */
/* The policy is in schedule.h. Heaps: fire jobs and lower jobs by release, dead devices by the time of their probe, fire jobs
 * that may have an extra. A decision looks at the first of each, and at a few more when the first does not fit.
 *
 * Invariants (schedule_check):
 *  1. A job is in the heap of its rank exactly when it is released, at its release; never in the other.
 *  2. Only a fire job that is released may have an extra, on a line.
 *  3. The credit is never above SCHEDULE_PROBE_CREDIT_US. */
#include "sensors/schedule.h"

#include "base/check.h"
#include "base/now.h"

void schedule_init(struct schedule *schedule, uint32_t jobs_count, uint32_t devices_count, bool line, struct arena *arena) {
    *schedule =
        (struct schedule){.line = line, .budgeted = true, .credit_us = SCHEDULE_PROBE_CREDIT_US, .guest_at_us = NOW_NEVER, .wake_us = NOW_NEVER};
    heap_init(&schedule->fire, jobs_count, arena);
    heap_init(&schedule->lower, jobs_count, arena);
    heap_init(&schedule->probes, devices_count, arena);
    heap_init(&schedule->spares, line ? jobs_count : 0, arena);
    schedule->jobs = arena_take(arena, jobs_count ? jobs_count : 1, sizeof(*schedule->jobs));
    schedule->probe_costs_us = arena_take(arena, devices_count ? devices_count : 1, sizeof(*schedule->probe_costs_us));
    for (uint32_t i = 0; i < jobs_count; i++)
        schedule->jobs[i].release_us = NOW_NEVER;
}

void schedule_set_job(struct schedule *schedule, uint32_t job, bool fire, int64_t period_us, int64_t cost_us) {
    CHECK(job < schedule->lower.items_count && period_us > 0);
    schedule->jobs[job] = (struct schedule_job){.period_us = period_us, .cost_us = cost_us, .fire = fire, .release_us = NOW_NEVER};
}

static struct heap *heap_of(struct schedule *schedule, uint32_t job) {
    return schedule->jobs[job].fire ? &schedule->fire : &schedule->lower;
}

void schedule_release(struct schedule *schedule, uint32_t job, int64_t at_us) {
    schedule->jobs[job].release_us = at_us;
    heap_set(heap_of(schedule, job), job, at_us);
}

void schedule_begin(struct schedule *schedule, uint32_t job, int64_t base_us) {
    schedule->jobs[job].base_us = base_us;
    schedule_release(schedule, job, base_us);
}

static void spare_end(struct schedule *schedule, uint32_t job) {
    if (schedule->line)
        heap_set(&schedule->spares, job, NOW_NEVER);
}

void schedule_remove(struct schedule *schedule, uint32_t job) {
    schedule_release(schedule, job, NOW_NEVER);
    spare_end(schedule, job);
}

void schedule_spare(struct schedule *schedule, uint32_t job, int64_t from_us, int64_t cost_us) {
    CHECK(schedule->line && schedule->jobs[job].fire && schedule->jobs[job].release_us != NOW_NEVER);
    schedule->jobs[job].spare_us = cost_us;
    heap_set(&schedule->spares, job, from_us);
}

void schedule_probe(struct schedule *schedule, uint32_t device, int64_t at_us, int64_t cost_us) {
    schedule->probe_costs_us[device] = cost_us;
    heap_set(&schedule->probes, device, at_us);
}

static void credit_grow(struct schedule *schedule, int64_t now_us) {
    int64_t earned_us = (now_us - schedule->credit_at_us) / SCHEDULE_PROBE_SHARE;
    if (earned_us <= 0)
        return;
    schedule->credit_at_us += earned_us * SCHEDULE_PROBE_SHARE; /* what is left of the division is not lost */
    schedule->credit_us = earned_us > SCHEDULE_PROBE_CREDIT_US - schedule->credit_us ? SCHEDULE_PROBE_CREDIT_US : schedule->credit_us + earned_us;
}

void schedule_probe_spent(struct schedule *schedule, int64_t now_us, int64_t took_us) {
    credit_grow(schedule, now_us);
    schedule->credit_us -= took_us;
}

/* Releases of the grid up to and including `at_us`. */
static int64_t releases_until(const struct schedule_job *job, int64_t at_us) {
    return at_us < job->base_us ? 0 : (at_us - job->base_us) / job->period_us + 1;
}

void schedule_resume(struct schedule *schedule, uint32_t job, int64_t now_us) {
    const struct schedule_job *it = &schedule->jobs[job];
    schedule_release(schedule, job, it->base_us + releases_until(it, now_us) * it->period_us);
}

static void choose_job(struct schedule *schedule, uint32_t item, int64_t now_us, struct schedule_choice *ret_choice) {
    struct schedule_job *job = &schedule->jobs[item];
    *ret_choice = (struct schedule_choice){.item = item, .release_us = job->release_us};
    int64_t passed = releases_until(job, now_us);
    schedule->skipped_releases += (uint64_t)(passed - releases_until(job, job->release_us));
    schedule_release(schedule, item, job->base_us + passed * job->period_us);
    spare_end(schedule, item);
}

static void choose_probe(struct schedule *schedule, uint32_t device, struct schedule_choice *ret_choice) {
    *ret_choice = (struct schedule_choice){.probe = true, .item = device, .release_us = heap_at_us(&schedule->probes, device)};
    heap_set(&schedule->probes, device, NOW_NEVER);
}

static int64_t min_us(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max_us(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static bool fits(const struct schedule *schedule, int64_t now_us, int64_t cost_us) {
    int64_t fire_us = heap_first_us(&schedule->fire);
    return !schedule->line || fire_us == NOW_NEVER || now_us + cost_us <= fire_us;
}

static void wake_at(struct schedule *schedule, int64_t now_us, int64_t at_us) {
    CHECK(at_us > now_us); /* a step that changes nothing must not ask for itself at once */
    schedule->wake_us = min_us(schedule->wake_us, at_us);
}

/* The first item of a heap without taking it out. */
static bool peek(const struct heap *heap, uint32_t *ret_item) {
    if (heap->count == 0)
        return false;
    *ret_item = heap->nodes[0].item;
    return true;
}

static bool age_allows(struct schedule *schedule, int64_t now_us, int64_t due_us, int64_t cost_us) {
    int64_t at_us = max_us(due_us + SCHEDULE_AGE_US, schedule->aged_next_us);
    int64_t force_us = max_us(due_us + SCHEDULE_AGE_US + SCHEDULE_FORCE_US, schedule->aged_next_us);
    if (at_us > now_us || (force_us > now_us && !fits(schedule, now_us, cost_us))) {
        wake_at(schedule, now_us, at_us > now_us ? at_us : force_us);
        return false;
    }
    schedule->aged_next_us = now_us + SCHEDULE_AGE_PAUSE_US;
    return true;
}

static bool take_aged(struct schedule *schedule, int64_t now_us, struct schedule_choice *ret_choice) {
    uint32_t item;
    if (peek(&schedule->probes, &item) && age_allows(schedule, now_us, heap_first_us(&schedule->probes), schedule->probe_costs_us[item])) {
        choose_probe(schedule, item, ret_choice);
        return true;
    }
    if (peek(&schedule->lower, &item) && age_allows(schedule, now_us, heap_first_us(&schedule->lower), schedule->jobs[item].cost_us)) {
        choose_job(schedule, item, now_us, ret_choice);
        return true;
    }
    return false;
}

static bool take_probe(struct schedule *schedule, int64_t now_us, struct schedule_choice *ret_choice) {
    uint32_t device;
    int64_t due_us = heap_first_us(&schedule->probes);
    if (!peek(&schedule->probes, &device))
        return false;
    if (due_us > now_us) {
        wake_at(schedule, now_us, due_us);
        return false;
    }
    credit_grow(schedule, now_us);
    if (schedule->budgeted && schedule->credit_us <= 0) {
        wake_at(schedule, now_us, now_us + (1 - schedule->credit_us) * SCHEDULE_PROBE_SHARE);
        return false;
    }
    if (!fits(schedule, now_us, schedule->probe_costs_us[device]))
        return false; /* asked again when the fire job is due */
    choose_probe(schedule, device, ret_choice);
    return true;
}

/* Tries the first lower jobs that are due. Those that do not fit are put back as they were, in the same order. */
static bool take_lower(struct schedule *schedule, int64_t now_us, struct schedule_choice *ret_choice) {
    uint32_t aside[SCHEDULE_FIT_TRIES], count = 0, item;
    bool found = false;
    while (count < SCHEDULE_FIT_TRIES && !found && heap_take_due(&schedule->lower, now_us, &item)) {
        found = fits(schedule, now_us, schedule->jobs[item].cost_us);
        if (!found)
            aside[count++] = item;
    }
    if (!found && heap_first_us(&schedule->lower) > now_us) /* otherwise more than were tried are due: after the fire job */
        wake_at(schedule, now_us, heap_first_us(&schedule->lower));
    for (uint32_t i = 0; i < count; i++)
        heap_set(&schedule->lower, aside[i], schedule->jobs[aside[i]].release_us);
    if (found)
        choose_job(schedule, item, now_us, ret_choice);
    return found;
}

/* Nothing is due before schedule->wake_us: is there a fire job for which that is long enough? */
static bool take_spare(struct schedule *schedule, int64_t now_us, struct schedule_choice *ret_choice) {
    uint32_t aside[SCHEDULE_FIT_TRIES], count = 0, item;
    int64_t asides_us[SCHEDULE_FIT_TRIES], due_us = schedule->wake_us;
    bool found = false;
    if (!schedule->line || heap_first_us(&schedule->lower) <= now_us) /* lower jobs that do not fit wait: any that does comes first */
        return false;
    while (count < SCHEDULE_FIT_TRIES && !found && heap_first_us(&schedule->spares) <= now_us) {
        int64_t from_us = heap_first_us(&schedule->spares);
        CHECK(heap_take_due(&schedule->spares, now_us, &item));
        found = due_us == NOW_NEVER || now_us + schedule->jobs[item].spare_us <= due_us;
        if (!found) {
            asides_us[count] = from_us;
            aside[count++] = item;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        heap_set(&schedule->spares, aside[i], asides_us[i]);
    if (found)
        *ret_choice = (struct schedule_choice){.extra = true, .item = item, .release_us = now_us};
    else if (heap_first_us(&schedule->spares) > now_us)
        wake_at(schedule, now_us, heap_first_us(&schedule->spares));
    return found;
}

void schedule_guest(struct schedule *schedule, int64_t since_us, int64_t at_us, int64_t cost_us) {
    schedule->guest_since_us = since_us;
    schedule->guest_at_us = at_us;
    schedule->guest_cost_us = cost_us;
}

static bool take_guest(struct schedule *schedule, int64_t now_us, bool by_age, struct schedule_choice *ret_choice) {
    int64_t at_us = schedule->guest_at_us;
    if (at_us == NOW_NEVER)
        return false;
    if (by_age)
        at_us = max_us(at_us, max_us(schedule->guest_since_us + SCHEDULE_GUEST_AGE_US, schedule->guest_aged_next_us));
    if (at_us > now_us) {
        wake_at(schedule, now_us, at_us);
        return false;
    }
    if (!fits(schedule, now_us, schedule->guest_cost_us))
        return false; /* asked again when the fire job is due */
    if (by_age)
        schedule->guest_aged_next_us = now_us + SCHEDULE_GUEST_PAUSE_US;
    schedule->guest_at_us = NOW_NEVER;
    *ret_choice = (struct schedule_choice){.guest = true, .release_us = now_us};
    return true;
}

bool schedule_take(struct schedule *schedule, int64_t now_us, struct schedule_choice *ret_choice) {
    uint32_t item;
    schedule->wake_us = NOW_NEVER;
    if (take_aged(schedule, now_us, ret_choice))
        return true;
    if (heap_take_due(&schedule->fire, now_us, &item)) {
        choose_job(schedule, item, now_us, ret_choice);
        return true;
    }
    wake_at(schedule, now_us, heap_first_us(&schedule->fire));
    if (take_guest(schedule, now_us, true, ret_choice))
        return true;
    /* Whichever is due first; the other when that one cannot go now. */
    bool probe_first = heap_first_us(&schedule->probes) < heap_first_us(&schedule->lower);
    if (probe_first && take_probe(schedule, now_us, ret_choice))
        return true;
    if (take_lower(schedule, now_us, ret_choice) || (!probe_first && take_probe(schedule, now_us, ret_choice)))
        return true;
    return take_guest(schedule, now_us, false, ret_choice) || take_spare(schedule, now_us, ret_choice);
}

void schedule_check(const struct schedule *schedule) {
    heap_check(&schedule->fire);
    heap_check(&schedule->lower);
    heap_check(&schedule->probes);
    heap_check(&schedule->spares);
    CHECK(schedule->credit_us <= SCHEDULE_PROBE_CREDIT_US);
    for (uint32_t i = 0; i < schedule->lower.items_count; i++) {
        const struct schedule_job *job = &schedule->jobs[i];
        CHECK(heap_at_us(&schedule->fire, i) == (job->fire ? job->release_us : NOW_NEVER));
        CHECK(heap_at_us(&schedule->lower, i) == (job->fire ? NOW_NEVER : job->release_us));
        CHECK(!schedule->line || heap_at_us(&schedule->spares, i) == NOW_NEVER || (job->fire && job->release_us != NOW_NEVER));
    }
}
