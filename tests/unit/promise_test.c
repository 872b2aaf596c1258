/* SPDX-License-Identifier: Apache-2.0 */
/* What `check` promises of a line is what its poller keeps: random deaths of 0, 1 and 3 devices at once against estimate_fires, and writes at
 * any instant against estimate_prompt. */
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

/* d0 smoke, d1 the relay, d2 a meter whose reads are as long as the cap allows, and five that are dead. */
static void act_begin(void) {
    struct line_timing line;
    rig_init(&rig, BUS_SERIAL, DEVICES);
    rig.bus.bus = 0;
    line = bus_line_timing(&rig.bus);
    rig.points[0][0].class = CLASS_FIRE;
    rig.points[0][0].feeds_action = true;
    rig_point(&rig, 1, READ_COIL, 3)->writable = true;
    for (unsigned i = 0; i < 6; i++) { /* 90 registers */
        struct point *point = rig_point(&rig, 2, READ_HOLDING, (uint16_t)(100 + 15 * i));
        point->type = TYPE_STRING;
        point->registers = i % 2 ? 9 : 15;
        point->address = (uint16_t)(100 + 12 * i + i % 2 * 3);
        point->every_ms = 400;
    }
    for (uint16_t d = 0; d < DEVICES; d++) {
        rig.specs[d].reply_bytes_max = plan_prompt_bytes(&line, 8);
        rig.slaves[d].silent = d >= 3;
    }
    rig_begin(&rig, DEVICES);
    rig_run(&rig, rig.now_us + 60 * SECOND);
    assert_int_equal(poller_counters(rig.poller)->devices_dead, 5);
}

/* The alarm is on the same line, or on another bus. */
static void act_estimate(bool same, struct estimate_prompt *ret_prompt) {
    struct bus_spec buses[2] = {rig.bus, {.name = "net", .bus = 1, .kind = BUS_TCP}};
    struct config_device devices[DEVICES + 1];
    struct config_alarm alarm = {.device = same ? 0 : DEVICES, .of_n = 1, .of_m = 1};
    struct config_action action = {.device = 1, .point = 1};
    struct config config = {.buses_count = 2, .buses = buses, .devices_count = DEVICES + 1, .devices = devices, .alarms_count = 1, .alarms = &alarm,
                            .actions_count = 1, .actions = &action};
    struct arena scratch;
    arena_init(&scratch);
    for (uint16_t d = 0; d <= DEVICES; d++)
        devices[d] = (struct config_device){.spec = rig.specs[d % DEVICES], .bus = d == DEVICES};
    assert_int_equal(estimate_prompt(&config, 0, &scratch, ret_prompt), ERR_OK);
    assert_true(ret_prompt->alone_us <= ACTION_WRITE_MAX_US && ret_prompt->frame_us == 8334);
    arena_done(&scratch);
}

/* The write was handed over `cause_us` ago or less: does it keep what was promised? */
static void act_judge(int64_t cause_us, int64_t promised_us, int64_t *worst) {
    struct line_timing line = bus_line_timing(&rig.bus);
    int64_t begins_us = rig.now_us - cause_us + line_silence_us(&line);
    assert_int_equal(rig.request.pdu.bytes[0], FC_WRITE_COIL);
    if (begins_us > promised_us)
        fail_msg("begins after %lld us, promised %lld", (long long)begins_us, (long long)promised_us);
    if (begins_us > *worst)
        *worst = begins_us;
    assert_true(begins_us + line_bytes_us(&line, 8) <= ACTION_WRITE_MAX_US);
}

/* The alarm of another bus, at any instant, after the longest road; devices fall silent shortly before. */
static void writes_for_another_bus(void **state) {
    struct estimate_prompt prompt;
    int64_t worst_begins_us[ESTIMATE_CASES] = {0};
    unsigned written = 0;
    (void)state;
    act_begin();
    act_estimate(false, &prompt);
    assert_int_equal(prompt.reply_bytes, 48);
    for (unsigned turn = 0; turn < 3000; turn++) {
        unsigned which = turn % ESTIMATE_CASES;
        rig_run(&rig, rig.now_us + SECOND + (int64_t)prng_below(&rig.prng, SECOND));
        for (uint16_t d = 0; which > 0 && d < 3; d++)
            rig.slaves[d].silent = which == 2 || d == turn / 3 % 3;
        rig_run(&rig, rig.now_us + (int64_t)prng_below(&rig.prng, which ? 700 * MS : SECOND));
        int64_t cause_us = rig.now_us - ACTION_ROAD_US;
        rig_write(&rig, 1, 1, turn & 1, turn);
        while (!(rig.request.pdu.bytes[0] == FC_WRITE_COIL && rig.answer_at_us != NOW_NEVER))
            assert_true(rig_advance(&rig, rig.now_us + SECOND));
        act_judge(cause_us, prompt.begins_us[which], &worst_begins_us[which]);
        for (uint16_t d = 0; d < 3; d++)
            rig.slaves[d].silent = false;
        while (rig.written == written)
            assert_true(rig_advance(&rig, rig.now_us + SECOND));
        written = rig.written;
        rig.story[0] = '\0';
    }
    /* It is measured what is meant: the longest read, but for the 5 ms by which nobody is late here, the host's 0.4, and the 3.6 of
     * silence that the rig does not wait before a request. The road's 10 are in it. */
    assert_in_range(worst_begins_us[0], prompt.begins_us[0] - 10 * MS, prompt.begins_us[0]);
    assert_in_range(worst_begins_us[2], prompt.begins_us[0] - 10 * MS, prompt.begins_us[2]);
    assert_true(rig.cuts > 300 && poller_counters(rig.poller)->devices_dead == 5);
    rig_done(&rig);
}

/* The alarm of the same line: its reply holds it, however long the verdict takes within its time. */
static void writes_for_its_own_line(void **state) {
    struct estimate_prompt prompt;
    int64_t worst_begins_us = 0;
    (void)state;
    act_begin();
    act_estimate(true, &prompt);
    for (unsigned turn = 0; turn < 1000; turn++) {
        rig_run(&rig, rig.now_us + (int64_t)prng_below(&rig.prng, SECOND));
        do
            assert_true(rig_advance(&rig, rig.now_us + 2 * SECOND));
        while (!rig.effects.has_polled || !rig.effects.polled.holds);
        int64_t cause_us = rig.now_us;
        rig_run(&rig, rig.now_us + (int64_t)prng_below(&rig.prng, POLLER_HOLD_US));
        rig_write(&rig, 1, 1, turn & 1, turn);
        assert_true(rig.effects.has_request);
        act_judge(cause_us, prompt.begins_us[0], &worst_begins_us);
        rig_step(&rig, POLLER_RELEASE);
    }
    assert_in_range(worst_begins_us, prompt.begins_us[0] - MS, prompt.begins_us[0]);
    assert_int_equal(rig.cuts, 0);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_spare_time),
        cmocka_unit_test(without_spare_time),
        cmocka_unit_test(writes_for_another_bus),
        cmocka_unit_test(writes_for_its_own_line),
    };
    return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
