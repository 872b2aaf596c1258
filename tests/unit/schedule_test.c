/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of schedule.h, rule by rule, and a run against a plain model: the same choice as scanning every job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/now.h"
#include "base/prng.h"
#include "sensors/schedule.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct schedule schedule_of(uint32_t jobs, uint32_t devices, bool line) {
    struct schedule schedule;
    schedule_init(&schedule, jobs, devices, line, &arena);
    return schedule;
}

static void add(struct schedule *schedule, uint32_t job, bool fire, int64_t period_us, int64_t cost_us, int64_t base_us) {
    schedule_set_job(schedule, job, fire, period_us, cost_us);
    schedule_begin(schedule, job, base_us);
}

static void assert_takes(struct schedule *schedule, int64_t now_us, uint32_t item, int64_t release_us) {
    struct schedule_choice choice;
    assert_true(schedule_take(schedule, now_us, &choice));
    schedule_check(schedule);
    assert_false(choice.probe);
    assert_int_equal(choice.item, item);
    assert_true(choice.release_us == release_us);
}

static void assert_probes(struct schedule *schedule, int64_t now_us, uint32_t device) {
    struct schedule_choice choice;
    assert_true(schedule_take(schedule, now_us, &choice));
    schedule_check(schedule);
    assert_true(choice.probe);
    assert_int_equal(choice.item, device);
}

static void assert_waits(struct schedule *schedule, int64_t now_us, int64_t wake_us) {
    struct schedule_choice choice;
    assert_false(schedule_take(schedule, now_us, &choice));
    schedule_check(schedule);
    assert_true(schedule->wake_us == wake_us);
    assert_true(wake_us > now_us);
}

static void releases_do_not_drift(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(1, 0, true);
    add(&schedule, 0, false, 100 * MS, 10 * MS, 7 * MS);
    assert_waits(&schedule, 0, 7 * MS);
    for (int64_t n = 0; n < 1000; n++) { /* always taken late, by up to 90 ms */
        int64_t release_us = 7 * MS + n * 100 * MS;
        assert_takes(&schedule, release_us + n % 10 * 10 * MS, 0, release_us);
    }
    assert_int_equal(schedule.skipped_releases, 0);
}

static void missed_releases_are_skipped_and_counted(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(1, 0, true);
    add(&schedule, 0, false, 100 * MS, 10 * MS, 0);
    assert_takes(&schedule, 0, 0, 0);
    assert_takes(&schedule, 350 * MS, 0, 100 * MS); /* 200 and 300 passed meanwhile */
    assert_int_equal(schedule.skipped_releases, 2);
    assert_waits(&schedule, 350 * MS, 400 * MS);
    schedule_release(&schedule, 0, 360 * MS); /* beside the grid */
    assert_takes(&schedule, 370 * MS, 0, 360 * MS);
    assert_int_equal(schedule.skipped_releases, 2);
    assert_waits(&schedule, 370 * MS, 400 * MS);
    schedule_remove(&schedule, 0);
    assert_waits(&schedule, 5 * SECOND, NOW_NEVER);
    schedule_resume(&schedule, 0, 5 * SECOND);
    assert_waits(&schedule, 5 * SECOND, 5100 * MS);
}

static void fire_goes_first_and_the_earliest_within_a_rank(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(4, 1, false);
    add(&schedule, 0, false, SECOND, 0, 1 * MS);
    add(&schedule, 1, false, SECOND, 0, 0);
    add(&schedule, 2, true, SECOND, 0, 3 * MS);
    add(&schedule, 3, true, SECOND, 0, 2 * MS);
    schedule_probe(&schedule, 0, -1, 0);
    assert_takes(&schedule, 5 * MS, 3, 2 * MS);
    assert_takes(&schedule, 5 * MS, 2, 3 * MS);
    assert_probes(&schedule, 5 * MS, 0);
    assert_takes(&schedule, 5 * MS, 1, 0);
    assert_takes(&schedule, 5 * MS, 0, 1 * MS);
    assert_waits(&schedule, 5 * MS, SECOND);
}

static void lower_jobs_fit_before_the_next_fire_release(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(3, 1, true);
    add(&schedule, 0, true, SECOND, 30 * MS, SECOND);
    add(&schedule, 1, false, 5 * SECOND, 100 * MS, 0);
    add(&schedule, 2, false, 5 * SECOND, 20 * MS, 1 * MS);
    schedule_probe(&schedule, 0, 0, 300 * MS);
    assert_takes(&schedule, 950 * MS, 2, 1 * MS); /* the first does not fit, the next does */
    assert_waits(&schedule, 970 * MS, SECOND);    /* rather idle */
    assert_takes(&schedule, SECOND, 0, SECOND);
    assert_takes(&schedule, 1900 * MS, 1, 0); /* ends exactly at the release */
    schedule_resume(&schedule, 1, 0);
    assert_waits(&schedule, 1701 * MS, 2 * SECOND); /* the probe would end 1 ms late */
    assert_probes(&schedule, 1700 * MS, 0);
    struct schedule network = schedule_of(2, 0, false); /* no line time to fit into */
    add(&network, 0, true, SECOND, 30 * MS, SECOND);
    add(&network, 1, false, SECOND, 100 * MS, 0);
    assert_takes(&network, 999 * MS, 1, 0);
}

static void assert_takes_extra(struct schedule *schedule, int64_t now_us, uint32_t item) {
    struct schedule_choice choice;
    assert_true(schedule_take(schedule, now_us, &choice));
    schedule_check(schedule);
    assert_true(choice.extra && !choice.probe && choice.release_us == now_us);
    assert_int_equal(choice.item, item);
}

static void spare_time_goes_to_fire(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(4, 1, true);
    add(&schedule, 0, true, SECOND, 30 * MS, 0);
    add(&schedule, 1, true, SECOND, 30 * MS, 0);
    add(&schedule, 2, false, 5 * SECOND, 20 * MS, 500 * MS);
    add(&schedule, 3, false, 5 * SECOND, 950 * MS, 4 * SECOND + 500 * MS);
    assert_takes(&schedule, 0, 0, 0);
    schedule_spare(&schedule, 0, 230 * MS, 100 * MS);
    assert_takes(&schedule, 30 * MS, 1, 0);
    schedule_spare(&schedule, 1, 260 * MS, 60 * MS);
    assert_waits(&schedule, 60 * MS, 230 * MS);
    assert_takes_extra(&schedule, 230 * MS, 0);
    schedule_spare(&schedule, 0, 460 * MS, 100 * MS);
    assert_takes_extra(&schedule, 260 * MS, 1);  /* told nothing more: it has no other */
    assert_waits(&schedule, 460 * MS, 500 * MS); /* 100 ms might be too much: rather idle */
    assert_waits(&schedule, 470 * MS, 500 * MS);
    assert_takes(&schedule, 500 * MS, 2, 500 * MS);
    assert_takes_extra(&schedule, 900 * MS, 0); /* ends just when the next is due */
    schedule_spare(&schedule, 0, 901 * MS, 100 * MS);
    assert_waits(&schedule, 901 * MS, SECOND);
    schedule_spare(&schedule, 1, 901 * MS, 60 * MS);
    assert_takes_extra(&schedule, 920 * MS, 1); /* the other is shorter */
    assert_takes(&schedule, SECOND, 0, SECOND);
    assert_takes(&schedule, 1030 * MS, 1, SECOND);
    assert_int_equal(schedule.skipped_releases, 0); /* extras are no releases */
    assert_waits(&schedule, 1060 * MS, 2 * SECOND); /* both were taken: nothing to spare for */
    schedule_probe(&schedule, 0, 1400 * MS, 20 * MS);
    schedule_spare(&schedule, 0, 1060 * MS, 100 * MS);
    assert_takes_extra(&schedule, 1100 * MS, 0);
    schedule_spare(&schedule, 0, 1301 * MS, 100 * MS);
    assert_waits(&schedule, 1301 * MS, 1400 * MS); /* a probe is not put off either */
    schedule_remove(&schedule, 0);
    schedule_check(&schedule);
    struct schedule network = schedule_of(1, 0, false); /* has no line time to spare */
    add(&network, 0, true, SECOND, 0, 0);
    assert_takes(&network, 0, 0, 0);
    assert_waits(&network, 0, SECOND);
}

/* A lower job that does not fit before the fire jobs does not keep the line from being used, but nor is it put off by extras. */
static void no_extra_while_something_waits(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(2, 0, true);
    add(&schedule, 0, true, SECOND, 30 * MS, 0);
    add(&schedule, 1, false, 5 * SECOND, 500 * MS, 600 * MS);
    assert_takes(&schedule, 0, 0, 0);
    schedule_spare(&schedule, 0, 200 * MS, 50 * MS);
    assert_takes_extra(&schedule, 550 * MS, 0);
    schedule_spare(&schedule, 0, 600 * MS, 50 * MS);
    assert_waits(&schedule, 600 * MS, SECOND);
    assert_takes(&schedule, SECOND, 0, SECOND);
    assert_takes(&schedule, 1030 * MS, 1, 600 * MS);
}

static void assert_takes_guest(struct schedule *schedule, int64_t now_us) {
    struct schedule_choice choice;
    assert_true(schedule_take(schedule, now_us, &choice));
    schedule_check(schedule);
    assert_true(choice.guest && !choice.probe && !choice.extra && choice.release_us == now_us);
}

static void a_guest_takes_spare_time(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(2, 0, true);
    add(&schedule, 0, true, SECOND, 30 * MS, 0);
    add(&schedule, 1, false, 5 * SECOND, 20 * MS, 100 * MS);
    schedule_guest(&schedule, 0, 0, 500 * MS);
    assert_takes(&schedule, 0, 0, 0);
    schedule_spare(&schedule, 0, 30 * MS, 20 * MS);
    assert_takes_guest(&schedule, 30 * MS); /* before an extra; a lower job that comes meanwhile waits */
    assert_takes(&schedule, 530 * MS, 1, 100 * MS);
    schedule_guest(&schedule, 550 * MS, 550 * MS, 500 * MS);
    assert_takes_extra(&schedule, 550 * MS, 0); /* the guest does not fit before the fire job */
    assert_takes(&schedule, SECOND, 0, SECOND);
    schedule_guest(&schedule, 550 * MS, 1100 * MS, 500 * MS);
    assert_waits(&schedule, 1030 * MS, 1100 * MS);
    assert_takes_guest(&schedule, 1100 * MS);
    assert_waits(&schedule, 1600 * MS, 2 * SECOND); /* there is no other */
    struct schedule network = schedule_of(1, 0, false);
    add(&network, 0, true, SECOND, 0, 0);
    assert_takes(&network, 0, 0, 0);
    schedule_guest(&network, 0, 0, 5 * SECOND);
    assert_takes_guest(&network, 999 * MS);
}

/* Lower jobs that would fill every pause: the guest goes after two seconds, and then not again for five. */
static void a_guest_goes_by_age(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(2, 0, true);
    int64_t now_us = 0, since_us = 0, taken_us = -SCHEDULE_GUEST_PAUSE_US;
    unsigned guests = 0;
    add(&schedule, 0, true, SECOND, 30 * MS, 0);
    add(&schedule, 1, false, 100 * MS, 100 * MS, 0);
    schedule_guest(&schedule, 0, 0, 500 * MS);
    while (now_us < 60 * SECOND) {
        struct schedule_choice choice;
        if (!schedule_take(&schedule, now_us, &choice)) {
            assert_true(schedule.wake_us > now_us);
            now_us = schedule.wake_us;
            continue;
        }
        schedule_check(&schedule);
        if (choice.guest) {
            assert_true(now_us - since_us >= SCHEDULE_GUEST_AGE_US && now_us - taken_us >= SCHEDULE_GUEST_PAUSE_US);
            taken_us = now_us;
            guests++;
            now_us += 500 * MS;
            since_us = now_us;
            schedule_guest(&schedule, since_us, since_us, 500 * MS);
        } else if (choice.item == 1) {
            now_us += 100 * MS;
        } else {
            assert_true(now_us == choice.release_us); /* never late */
            now_us += 30 * MS;
        }
    }
    assert_in_range(guests, 9, 12);
}

/* More lower jobs are due than are tried, and none fits: the schedule sleeps until the fire job, it does not spin. */
static void many_that_do_not_fit(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(7, 0, true);
    add(&schedule, 0, true, SECOND, 30 * MS, SECOND);
    for (uint32_t i = 1; i < 7; i++)
        add(&schedule, i, false, 5 * SECOND, 100 * MS, (int64_t)i);
    assert_waits(&schedule, 950 * MS, SECOND);
}

/* A fire period that leaves no room: the lower job and the probe still go, at most one a second. */
static void nothing_starves(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(2, 1, true);
    add(&schedule, 0, true, 100 * MS, 90 * MS, 0);
    add(&schedule, 1, false, SECOND, 200 * MS, 0);
    schedule_probe(&schedule, 0, 0, 300 * MS);
    int64_t now_us = 0, last_us = -SECOND;
    unsigned lower = 0, probes = 0, fire = 0;
    while (now_us < 100 * SECOND) {
        struct schedule_choice choice;
        if (!schedule_take(&schedule, now_us, &choice)) {
            assert_true(schedule.wake_us > now_us);
            now_us = schedule.wake_us;
            continue;
        }
        if (choice.probe || choice.item == 1) {
            assert_true(now_us - last_us >= SECOND);
            assert_true(now_us - choice.release_us >= SCHEDULE_AGE_US);
            assert_true(now_us - choice.release_us <= SCHEDULE_AGE_US + SCHEDULE_FORCE_US + 3 * SECOND);
            last_us = now_us;
        }
        if (choice.probe) {
            probes++;
            now_us += 300 * MS;
            schedule_probe_spent(&schedule, now_us, 300 * MS);
            schedule_probe(&schedule, 0, now_us + 10 * SECOND, 300 * MS);
        } else if (choice.item == 1) {
            lower++;
            now_us += 200 * MS;
        } else {
            fire++;
            now_us += 90 * MS;
        }
    }
    assert_in_range(lower, 7, 10);
    assert_in_range(probes, 4, 6);
    assert_in_range(fire, 900, 1000);
}

/* What is late by age but would fit waits for the pause, so that it delays no fire job; what never fits goes after all. */
static void age_still_fits_first(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(1, 1, true);
    add(&schedule, 0, true, SECOND, 30 * MS, 0);
    schedule.credit_us = -100 * SECOND; /* no budget */
    schedule.credit_at_us = 0;
    schedule_probe(&schedule, 0, 0, 300 * MS);
    assert_takes(&schedule, 9 * SECOND, 0, 0);
    assert_takes(&schedule, 10 * SECOND, 0, 10 * SECOND); /* the probe is 10 s late, the fire job is due */
    assert_waits(&schedule, 10 * SECOND + 800 * MS, 11 * SECOND);
    assert_takes(&schedule, 11 * SECOND, 0, 11 * SECOND);
    assert_probes(&schedule, 11 * SECOND + 30 * MS, 0);
    schedule_probe(&schedule, 0, 0, 1100 * MS); /* longer than any pause */
    assert_waits(&schedule, 11 * SECOND + 950 * MS, 12 * SECOND);
    assert_takes(&schedule, 12 * SECOND, 0, 12 * SECOND);
    assert_probes(&schedule, 12 * SECOND + 30 * MS, 0);
}

/* Five dead devices whose every probe takes 500 ms: 5 % of the time, but for the credit at the start. */
static void probes_keep_their_budget(void **state) {
    (void)state;
    for (int budgeted = 0; budgeted < 2; budgeted++) {
        struct schedule schedule = schedule_of(0, 2, true);
        int64_t now_us = 50 * SECOND, end_us = now_us + 400 * SECOND, spent_us = 0;
        schedule.budgeted = budgeted;
        for (uint32_t d = 0; d < 2; d++)
            schedule_probe(&schedule, d, now_us, 500 * MS);
        while (now_us < end_us) {
            struct schedule_choice choice;
            if (!schedule_take(&schedule, now_us, &choice)) {
                assert_true(schedule.wake_us > now_us);
                now_us = schedule.wake_us;
                continue;
            }
            now_us += 500 * MS;
            spent_us += 500 * MS;
            schedule_probe_spent(&schedule, now_us, 500 * MS);
            schedule_probe(&schedule, choice.item, now_us + 10 * SECOND, 500 * MS);
            schedule_check(&schedule);
        }
        if (budgeted)
            assert_in_range(spent_us, 19 * SECOND, 22 * SECOND);
        else
            assert_in_range(spent_us, 36 * SECOND, 40 * SECOND); /* nobody to spare the line for */
    }
}

/* Ten dead devices ask for more than the budget: by age each is still probed every 20 s or so. */
static void the_budget_never_shuts_a_device_out(void **state) {
    (void)state;
    struct schedule schedule = schedule_of(0, 10, true);
    int64_t last_us[10] = {0}, now_us = 0;
    for (uint32_t d = 0; d < 10; d++)
        schedule_probe(&schedule, d, 0, 500 * MS);
    while (now_us < 300 * SECOND) {
        struct schedule_choice choice;
        if (!schedule_take(&schedule, now_us, &choice)) {
            now_us = schedule.wake_us;
            continue;
        }
        assert_true(now_us - last_us[choice.item] <= 32 * SECOND);
        last_us[choice.item] = now_us;
        now_us += 500 * MS;
        schedule_probe_spent(&schedule, now_us, 500 * MS);
        schedule_probe(&schedule, choice.item, now_us + 10 * SECOND, 500 * MS);
    }
}

/* Without lines and probes the choice is always: fire before the rest, then the earliest release. */
static void same_choice_as_a_plain_scan(void **state) {
    (void)state;
    enum { JOBS = 40 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        struct schedule schedule = schedule_of(JOBS, 0, false);
        for (uint32_t i = 0; i < JOBS; i++)
            add(&schedule, i, prng_below(&prng, 3) == 0, (int64_t)(1 + prng_below(&prng, 50)) * 100 * MS, 0, (int64_t)prng_below(&prng, 1000) * MS);
        int64_t now_us = 0;
        for (int round = 0; round < 2000; round++) {
            bool any = false, fire = false;
            int64_t best_us = NOW_NEVER, next_us = NOW_NEVER;
            for (uint32_t i = 0; i < JOBS; i++) {
                const struct schedule_job *job = &schedule.jobs[i];
                next_us = job->release_us < next_us ? job->release_us : next_us;
                if (job->release_us > now_us || (fire && !job->fire))
                    continue;
                if (!any || (job->fire && !fire) || job->release_us < best_us)
                    best_us = job->release_us;
                any = true;
                fire = job->fire;
            }
            struct schedule_choice choice;
            assert_int_equal(schedule_take(&schedule, now_us, &choice), any);
            schedule_check(&schedule);
            if (any) {
                assert_true(choice.release_us == best_us);
                assert_int_equal(schedule.jobs[choice.item].fire, fire);
                now_us += (int64_t)prng_below(&prng, 60) * MS;
            } else {
                assert_true(schedule.wake_us == next_us);
                now_us = schedule.wake_us;
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases_do_not_drift),
        cmocka_unit_test(missed_releases_are_skipped_and_counted),
        cmocka_unit_test(fire_goes_first_and_the_earliest_within_a_rank),
        cmocka_unit_test(lower_jobs_fit_before_the_next_fire_release),
        cmocka_unit_test(spare_time_goes_to_fire),
        cmocka_unit_test(no_extra_while_something_waits),
        cmocka_unit_test(a_guest_takes_spare_time),
        cmocka_unit_test(a_guest_goes_by_age),
        cmocka_unit_test(many_that_do_not_fit),
        cmocka_unit_test(nothing_starves),
        cmocka_unit_test(age_still_fits_first),
        cmocka_unit_test(probes_keep_their_budget),
        cmocka_unit_test(the_budget_never_shuts_a_device_out),
        cmocka_unit_test(same_choice_as_a_plain_scan),
    };
    return cmocka_run_group_tests_name("schedule", tests, set_up, tear_down);
}
