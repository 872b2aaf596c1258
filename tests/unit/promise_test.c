/* SPDX-License-Identifier: Apache-2.0 */
/* What `check` promises of a line is what its poller keeps: random deaths of 0, 1 and 3 devices at once against estimate_fires. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "config/estimate.h"
#include "poller_rig.h"

#include <cmocka.h>

#define DEVICES 8

static struct rig rig;
static int64_t asked_us[DEVICES], worst_us[DEVICES], sampled_us[DEVICES];

/* A change just after a device has formed its answer is told by the end of the next one. */
static void watch(struct rig *it, const struct poller_effects *effects) {
    struct line_timing line = bus_line_timing(&it->bus);
    const struct polled *polled = &effects->polled;
    if (effects->has_polled && polled->status == BUS_ANSWERED) {
        uint16_t d = polled->device;
        int64_t latency_us = it->now_us - sampled_us[d];
        if (sampled_us[d] != 0 && latency_us > worst_us[d])
            worst_us[d] = latency_us;
        sampled_us[d] = asked_us[d];
    }
    if (effects->has_request)
        asked_us[it->request.unit_id - 1] = it->now_us + line_bytes_us(&line, it->request.pdu.size + 3u);
}

static void estimate(int64_t ret_seen_us[DEVICES][ESTIMATE_CASES]) {
    struct config_device devices[DEVICES];
    struct config config = {.buses_count = 1, .buses = &rig.bus, .devices_count = DEVICES, .devices = devices};
    struct estimate_fire *fires;
    struct arena scratch;
    uint16_t count;
    arena_init(&scratch);
    for (uint16_t d = 0; d < DEVICES; d++)
        devices[d] = (struct config_device){.spec = rig.specs[d]};
    assert_int_equal(estimate_fires(&config, 0, &scratch, &fires, &count), ERR_OK);
    for (uint16_t i = 0; i < count; i++)
        memcpy(ret_seen_us[fires[i].device], fires[i].seen_us, sizeof(fires[i].seen_us));
    arena_done(&scratch);
}

static void judge(int64_t seen_us[DEVICES][ESTIMATE_CASES], unsigned which, bool spare) {
    memset(worst_us, 0, sizeof(worst_us));
    memset(sampled_us, 0, sizeof(sampled_us));
    rig_run(&rig, rig.now_us + 20 * SECOND);
    for (uint16_t d = 0; d < 4; d++) {
        if (rig.slaves[d].silent)
            continue;
        if (worst_us[d] > seen_us[d][which])
            print_error("device %u: %lld us, promised %lld\n", d, (long long)worst_us[d], (long long)seen_us[d][which]);
        assert_true(worst_us[d] > 0 && worst_us[d] <= seen_us[d][which]);
        if (!spare && !rig.slaves[7].silent)
            assert_true(worst_us[d] >= 990 * MS); /* it is measured what is meant */
    }
}

static void the_bound_holds(bool spare) {
    int64_t seen_us[DEVICES][ESTIMATE_CASES];
    rig_init(&rig, BUS_SERIAL, DEVICES);
    rig.bus.bus = 0;
    for (uint16_t d = 0; d < DEVICES; d++) {
        rig.points[d][0].class = d < 4 ? CLASS_FIRE : CLASS_ELECTRICAL;
        rig.points[d][0].every_ms = d < 4 ? 1000 : 2000;
    }
    rig.points[7][0].every_ms = spare ? 2000 : 20; /* always due: no line time to spare */
    estimate(seen_us);
    assert_true(seen_us[0][0] < 1030 * MS && seen_us[0][2] < 1650 * MS);
    rig_begin(&rig, DEVICES);
    rig.watch = watch;
    for (unsigned turn = 0; turn < 120; turn++) {
        unsigned silent = estimate_silent[turn % ESTIMATE_CASES];
        rig_run(&rig, rig.now_us + 30 * SECOND + (int64_t)prng_below(&rig.prng, SECOND));
        while (silent > 0) {
            struct rig_slave *slave = &rig.slaves[prng_below(&rig.prng, DEVICES)];
            silent -= !slave->silent;
            slave->silent = true;
        }
        judge(seen_us, turn % ESTIMATE_CASES, spare); /* they die, and are probed */
        judge(seen_us, 0, spare);                     /* known dead they cost nothing */
        for (uint16_t d = 0; d < DEVICES; d++)
            rig.slaves[d].silent = false;
        rig.story[0] = '\0';
    }
    rig_done(&rig);
}

static void with_spare_time(void **state) {
    (void)state;
    the_bound_holds(true);
}

static void without_spare_time(void **state) {
    (void)state;
    the_bound_holds(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_spare_time),
        cmocka_unit_test(without_spare_time),
    };
    return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
