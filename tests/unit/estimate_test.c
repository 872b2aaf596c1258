/* SPDX-License-Identifier: Apache-2.0 */
/* What a line will cost, by hand. One character is 10 bits at 9600 8N1: 1.041666 ms; the silence is 3.5 of them: 3.646 ms
 * (rounded up); the turnaround that is assumed is 5 ms; a read of n registers takes 13 + 2n characters both ways, so
 *     C(n) = (13 + 2n) * 1.041666 + 5 + 3.646 ms:   C(1) = 24.271   C(4) = 30.521   C(40) = 105.521   C(125) = 282.604 */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/estimate.h"

#define DEVICES 12

struct site {
    struct config config;
    struct bus_spec buses[2];
    struct config_device devices[DEVICES];
    struct point points[DEVICES][2];
    struct config_alarm alarms[1];
    struct config_action actions[1];
    struct arena scratch;
};

/* 8 smoke detectors of 4 registers at 1 s, 4 meters of 40 registers at 5 s, all on line 0 with a timeout of 500 ms. */
static struct site *site_begin(void) {
    struct site *site = calloc(1, sizeof(*site));
    assert_non_null(site);
    arena_init(&site->scratch);
    site->buses[0] = (struct bus_spec){.name = "line", .kind = BUS_SERIAL, .baud = 9600, .parity = PARITY_NONE, .stop_bits = 1};
    site->buses[1] = (struct bus_spec){.name = "net", .bus = 1, .kind = BUS_TCP};
    for (uint16_t d = 0; d < DEVICES; d++) {
        bool smoke = d < 8;
        site->devices[d] = (struct config_device){.spec = {.name = "d",
                                                           .device = d,
                                                           .unit_id = (uint8_t)(d + 1),
                                                           .timeout_ms = 500,
                                                           .registers_max = 125,
                                                           .points_count = 1,
                                                           .points = site->points[d]}};
        site->points[d][0] = (struct point){.name = "p",
                                            .read = READ_HOLDING,
                                            .type = TYPE_STRING,
                                            .registers = smoke ? 4 : 40,
                                            .every_ms = smoke ? 1000 : 5000,
                                            .class = smoke ? CLASS_FIRE : CLASS_MAINTENANCE,
                                            .verify = true};
        site->points[d][1] = (struct point){.name = "coil", .read = READ_COIL, .registers = 1, .every_ms = 1000, .writable = true};
    }
    site->alarms[0] = (struct config_alarm){.name = "smoke", .of_n = 1, .of_m = 1};
    site->actions[0] = (struct config_action){.name = "cut", .device = 11, .point = 1};
    site->config = (struct config){.buses_count = 2,
                                   .devices_count = DEVICES,
                                   .alarms_count = 1,
                                   .actions_count = 1,
                                   .buses = site->buses,
                                   .devices = site->devices,
                                   .alarms = site->alarms,
                                   .actions = site->actions};
    return site;
}

static void site_end(struct site *site) {
    arena_done(&site->scratch);
    free(site);
}

static void assert_us(int64_t value_us, int64_t expected_us) {
    if (value_us < expected_us - 20 || value_us > expected_us + 20) /* microseconds are rounded up, one a term */
        fail_msg("%lld us instead of %lld", (long long)value_us, (long long)expected_us);
}

static void load_and_round(void **state) {
    (void)state;
    struct site *site = site_begin();
    struct estimate_bus bus;
    assert_int_equal(estimate_bus(&site->config, 0, &site->scratch, &bus), ERR_OK);
    assert_true(bus.line);
    assert_us(bus.fire_round_us, 8 * 30521);         /* 244.2 ms */
    assert_us(bus.round_us, 8 * 30521 + 4 * 105521); /* 666.3 ms */
    assert_us(bus.longest_us, 105521);
    assert_true(bus.load > 0.328 && bus.load < 0.329); /* 0.2442 / 1 + 0.4221 / 5 = 0.3286 */
    assert_true(bus.fire_load > 0.244 && bus.fire_load < 0.245);
    assert_true(estimate_keeps_fire(&bus));
    site_end(site);
}

static void seen(struct site *site, unsigned index, int64_t zero_us, int64_t one_us, int64_t three_us) {
    struct estimate_fire *fires;
    uint16_t count;
    assert_int_equal(estimate_fires(&site->config, 0, &site->scratch, &fires, &count), ERR_OK);
    assert_true(index < count);
    assert_us(fires[index].seen_us[0], zero_us);
    assert_us(fires[index].seen_us[1], one_us);
    assert_us(fires[index].seen_us[2], three_us);
}

static void fire_points(void **state) {
    (void)state;
    struct site *site = site_begin();
    /* period + own = 1000 + 30.521; each silent one 500 + 3.646; everything fits into the pause of 755.8 ms */
    seen(site, 0, 1030521, 1030521 + 503646, 1030521 + 3 * 503646);
    seen(site, 7, 1030521, 1030521 + 503646, 1030521 + 3 * 503646);
    /* one with a larger timeout counts first, but not for itself */
    site->devices[3].spec.timeout_ms = 700;
    seen(site, 0, 1030521, 1030521 + 703646, 1030521 + 703646 + 2 * 503646);
    seen(site, 3, 1030521, 1030521 + 503646, 1030521 + 3 * 503646);
    /* of another period: it shifts the others, and they it */
    site->points[2][0].every_ms = 2000;
    seen(site, 0, 1030521 + 30521, 1030521 + 30521 + 703646, 1030521 + 30521 + 703646 + 2 * 503646);
    seen(site, 2, 2030521 + 7 * 30521, 2030521 + 7 * 30521 + 703646, 2030521 + 7 * 30521 + 703646 + 2 * 503646);
    site_end(site);
}

static void what_does_not_fit_blocks(void **state) {
    (void)state;
    struct site *site = site_begin();
    /* A probe takes 8 characters more than 503.646: 511.979, and does not fit into 500 - 244.2 = 255.8 ms */
    for (unsigned d = 0; d < 8; d++)
        site->points[d][0].every_ms = 500;
    seen(site, 0, 530521 + 511979, 530521 + 511979 + 503646, 530521 + 511979 + 3 * 503646);
    for (unsigned d = 0; d < DEVICES; d++)
        site->devices[d].spec.timeout_ms = 200; /* a probe of 211.979 does */
    seen(site, 0, 530521, 530521 + 203646, 530521 + 3 * 203646);
    site->points[9][0].registers = 125; /* 282.604 does not */
    seen(site, 0, 530521 + 282604, 530521 + 282604 + 203646, 530521 + 282604 + 3 * 203646);
    site_end(site);
}

static void advice(struct site *site, uint32_t baud, uint32_t period_ms, unsigned lines) {
    struct estimate_bus bus;
    struct estimate_advice advice;
    assert_int_equal(estimate_bus(&site->config, 0, &site->scratch, &bus), ERR_OK);
    assert_false(estimate_keeps_fire(&bus));
    estimate_advise(&site->config, 0, &site->scratch, &advice);
    assert_int_equal(advice.baud, baud);
    assert_int_equal(advice.period_ms, period_ms);
    assert_int_equal(advice.lines, lines);
}

static void what_would_do(void **state) {
    (void)state;
    struct site *site = site_begin();
    for (unsigned d = 0; d < 8; d++)
        site->points[d][0].every_ms = 300;
    /* 244.2 + 105.5 = 349.7 ms do not go into 300. At 19200 the silence is 1.823 and C(4) = 21 * 0.520833 + 6.823 = 17.761,
     * C(40) = 93 * 0.520833 + 6.823 = 55.261: 8 * 17.761 + 55.261 = 197.3 do. 349.7 is below 400. Two lines: 122.1 <= 300 - 105.5. */
    advice(site, 19200, 400, 2);
    for (unsigned d = 0; d < 8; d++)
        site->points[d][0].every_ms = 100; /* 38400: 8 * 12.28 + 31.0 = 129; 57600: 8 * 10.40 + 22.9 = 106; 115200: 8 * 8.58 + 14.8 = 83.4 */
    advice(site, 115200, 400, 0);          /* the longest other alone takes longer than the period: no line helps */
    for (unsigned d = 0; d < 8; d++)
        site->points[d][0].every_ms = 50; /* no speed helps: the turnarounds and silences alone take 8 * 6.75 */
    advice(site, 0, 400, 0);
    site_end(site);
}

static void action(struct site *site, int64_t zero_us, int64_t one_us, int64_t three_us) {
    int64_t written_us[ESTIMATE_CASES];
    assert_int_equal(estimate_action(&site->config, 0, &site->scratch, written_us), ERR_OK);
    assert_us(written_us[0], zero_us);
    assert_us(written_us[1], one_us);
    assert_us(written_us[2], three_us);
}

static void actions(void **state) {
    (void)state;
    struct site *site = site_begin();
    /* on the same line: seen, held for at most 10 ms, silence 3.646 and 0.2 for the host, then 16 characters and 5: 10 + 25.513 */
    action(site, 1030521 + 10000 + 25513, 1030521 + 35513 + 503646, 1030521 + 35513 + 3 * 503646);
    site->alarms[0].on_delay_ms = 3000; /* then what was begun before it ends first: begins() is 124.567 for a read of 40 registers; + 21.667 */
    action(site, 4030521 + 124567 + 21667, 4030521 + 146234 + 503646, 4030521 + 146234 + 3 * 503646);
    site->alarms[0].on_delay_ms = 0;
    site->alarms[0].of_n = 3; /* two more readings */
    site->alarms[0].of_m = 5;
    action(site, 3030521 + 35513, 3030521 + 35513 + 503646, 3030521 + 35513 + 3 * 503646);
    site->alarms[0].of_n = site->alarms[0].of_m = 1;
    site->alarms[0].condition = CONDITION_COMMUNICATION;
    site->alarms[0].point = CONFIG_NONE; /* two more periods, and the third is waited for: 511.979 */
    action(site, 3030521 + 511979 + 146234, 3030521 + 511979 + 146234 + 503646, 3030521 + 511979 + 146234 + 3 * 503646);
    site->alarms[0].condition = CONDITION_ABOVE;
    site->alarms[0].point = 0;
    site->devices[11].bus = 1; /* a network: what is under way there is cut, no line time */
    action(site, 1030521 + 100000, 1030521 + 100000 + 503646, 1030521 + 100000 + 3 * 503646);
    site_end(site);
}

static void begins(struct site *site, uint16_t index, int64_t none_us, int64_t some_us, int64_t alone_us) {
    struct estimate_prompt prompt;
    assert_int_equal(estimate_prompt(&site->config, index, &site->scratch, &prompt), ERR_OK);
    assert_us(prompt.begins_us[0], none_us);
    assert_us(prompt.begins_us[2], some_us);
    assert_us(prompt.alone_us, alone_us);
}

/* The write's frame has 8 characters: 8.333 ms at 9600. What has just been begun takes
 *     W(n) = silence 3.646 + (13 + 2n) * 1.041666 + turnaround 5 + 5 for one that is late + 0.2,   W(40) = 110.721   W(4) = 35.721 */
static void how_promptly(void **state) {
    (void)state;
    struct site *site = site_begin();
    struct estimate_prompt prompt;
    struct estimate_prompt_advice advice;
    begins(site, 0, 13846, 13846, 13846 + 8333); /* the line is held */
    site->alarms[0].on_delay_ms = 1000;
    begins(site, 0, 10000 + 110721 + 3846, 124567, 124567 + 8333);
    assert_int_equal(estimate_prompt(&site->config, 0, &site->scratch, &prompt), ERR_OK);
    assert_int_equal(prompt.device, 8);
    assert_int_equal(prompt.reply_bytes, 80);
    /* 100 - 10 - 8.333 - 10.4 - 2 * 3.646 = 63.975 are 61.4 characters: 48 of data, 24 registers. At 19200 the same 40 registers need
     * 10 + 101 * 0.520833 + 10.4 + 2 * 1.823 = 76.65 */
    estimate_prompt_advise(&site->config, 0, &site->scratch, &advice);
    assert_int_equal(advice.registers, 24);
    assert_int_equal(advice.baud, 19200);
    for (unsigned d = 8; d < DEVICES; d++)
        site->points[d][0].registers = 4;
    begins(site, 0, 10000 + 35721 + 3846, 100000 - 8333, 49567 + 8333); /* who is newly silent is waited for as long as may be */
    site->buses[0].baud = 1200; /* a frame of 66.667, silences of 29.167: no read at all may stand before it */
    estimate_prompt_advise(&site->config, 0, &site->scratch, &advice);
    assert_int_equal(advice.registers, 0);
    assert_int_equal(advice.baud, 4800); /* 10 + 29 * 2.083333 + 10.4 + 2 * 7.292 = 95.4 */
    site_end(site);
}

/* The same alarm writes to three relays of one line: each waits for those before it. */
static void one_behind_the_other(void **state) {
    (void)state;
    struct site *site = site_begin();
    struct config_action cuts[3] = {{.device = 11, .point = 1}, {.device = 10, .point = 1}, {.device = 9, .point = 1}};
    struct estimate_prompt prompt;
    site->config.actions = cuts;
    site->config.actions_count = 3;
    /* each 16 characters, 5, 3.646 and 0.2: 25.513; a silent one has 50 besides */
    begins(site, 1, 13846 + 25513, 13846 + 25513 + 50000, 13846 + 8333);
    begins(site, 2, 13846 + 2 * 25513, 13846 + 2 * (25513 + 50000), 13846 + 8333);
    assert_int_equal(estimate_prompt(&site->config, 2, &site->scratch, &prompt), ERR_OK);
    assert_int_equal(prompt.before, 2);
    site_end(site);
}

/* What a second of each site was measured to cost on the device (config/estimate_store.c says how): the estimate is near it. */
static void store_as_measured(void **state) {
    (void)state;
    static const unsigned rates[] = {1, 5, 10, 20, 50, 100}, commits_s[] = {5, 10, 20, 40, 60};
    static const double measured[][5] = {{4530, 2520, 1490, 950, 720},  {4450, 2600, 1540, 990, 750},   {4810, 2700, 1620, 1060, 810},
                                         {4830, 2930, 1790, 1210, 960}, {5750, 3550, 2400, 1780, 1560}, {6690, 4400, 3180, 2590, 2320}};
    for (unsigned r = 0; r < 6; r++)
        for (unsigned c = 0; c < 5; c++) {
            struct point point = {.every_ms = 1000 / rates[r]};
            struct config_device device = {.spec = {.points = &point, .points_count = 1}};
            struct config config = {.devices = &device, .devices_count = 1, .points_count = 1, .store.readings_commit_ms = commits_s[c] * 1000};
            struct estimate_store store;
            estimate_store(&config, &store);
            double second = store.device_mb_day * 1e6 / 86400;
            assert_true(fabs(second / measured[r][c] - 1) < 0.07);
        }
}

/* Each device counts with its one point, however many registers it has. */
static void store(void **state) {
    (void)state;
    struct site *site = site_begin();
    struct estimate_store store;
    struct config *config = &site->config;
    double rate = 0;
    for (unsigned d = 0; d < DEVICES; d++)
        for (unsigned p = 0; p < config->devices[d].spec.points_count; p++)
            rate += 1000.0 / config->devices[d].spec.points[p].every_ms;
    config->store = (struct config_store){
        .spool_bytes_max = 1000000, .readings_commit_ms = 10000, .history_days = 10, .history_bytes_max = 1000000000, .rollup_days = 0, .events_bytes_max = 5000000};
    estimate_store(config, &store);
    assert_true(store.readings_per_s == rate && store.card_years == 0);
    assert_true(store.history_bytes == (uint64_t)((rate * 86400 * 3 + (double)config->points_count * 24 * 31) * 10));
    assert_true(store.needed_bytes == 1000000 + store.history_bytes + 5000000 + 32000000);
    double day = store.device_mb_day * 1e6;
    assert_true(fabs(store.device_bytes_reading - day / rate / 86400) < 1e-6);
    config->store.card_bytes = 32000000000;
    config->store.card_cycles = 3000;
    config->store.history_bytes_max = 20000000;
    config->store.history_days = 3650;
    estimate_store(config, &store);
    assert_true(store.history_bytes == 20000000);
    assert_true(fabs(store.card_years - 32e9 * 3000 / 4 / day / 365.25) < 1e-6);
    config->devices_count = 0; /* nothing to write */
    estimate_store(config, &store);
    assert_true(store.device_mb_day == 0 && store.card_years == 0);
    site_end(site);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_and_round), cmocka_unit_test(fire_points), cmocka_unit_test(what_does_not_fit_blocks),
        cmocka_unit_test(what_would_do),  cmocka_unit_test(actions),
        cmocka_unit_test(how_promptly),   cmocka_unit_test(one_behind_the_other), cmocka_unit_test(store_as_measured), cmocka_unit_test(store),
    };
    return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
