/* SPDX-License-Identifier: Apache-2.0 */
/* Merging at the edge of the gap that pays, on both sides, for lines and TCP; limits; what must never share a request; and a
 * property: whatever the points, each is read exactly once, inside its request, within every limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "sensors/plan.h"

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

static struct point point_at(enum point_read read, uint16_t address) {
    return (struct point){.name = "p",
                          .read = read,
                          .address = address,
                          .type = read <= READ_DISCRETE ? TYPE_BIT : TYPE_U16,
                          .registers = 1,
                          .scale = 1,
                          .every_ms = 1000,
                          .class = CLASS_MAINTENANCE};
}

static struct device_spec device_of(const struct point *points, uint16_t count) {
    return (struct device_spec){
        .name = "d", .unit_id = 1, .registers_max = REGISTERS_READ_MAX, .gaps_allowed = true, .points_count = count, .points = points};
}

static struct plan build(const struct device_spec *device, const struct line_timing *line) {
    struct plan plan;
    assert_int_equal(plan_build(device, line, &arena, &plan), ERR_OK);
    return plan;
}

static unsigned requests_with_gap(enum point_read read, const struct line_timing *line, unsigned gap) {
    struct point points[2] = {point_at(read, 100), point_at(read, (uint16_t)(101 + gap))};
    struct device_spec device = device_of(points, 2);
    struct plan plan = build(&device, line);
    if (plan.count == 1)
        assert_int_equal(plan.requests[0].count, gap + 2);
    return plan.count;
}

/* gap < 6.5 + (5000 + t35 + 200) / (2c) registers, gap < 8 * (13 + (5000 + t35 + 200) / c) bits; worked out by hand. */
static void gap_at_its_edge(void **state) {
    (void)state;
    static const struct {
        struct line_timing line;
        unsigned registers, bits; /* the widest gap that is read along */
    } cases[] = {
        {{9600, 10}, 10, 171},   /* c 1041.7, t35 3646: 10.75 and 171.9 */
        {{9600, 11}, 10, 168},   /* c 1145.8, t35 4011: 10.52 and 168.3 */
        {{19200, 10}, 13, 211},  /* c 520.8, t35 1823: 13.24 and 211.9 */
        {{19200, 11}, 12, 204},  /* c 572.9, t35 2006: 12.79 and 204.6 */
        {{115200, 11}, 42, 686}, /* c 95.49, t35 1750: 42.89 and 686.3 */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(requests_with_gap(READ_HOLDING, &cases[i].line, cases[i].registers), 1);
        assert_int_equal(requests_with_gap(READ_INPUT, &cases[i].line, cases[i].registers + 1), 2);
        assert_int_equal(requests_with_gap(READ_COIL, &cases[i].line, cases[i].bits), 1);
        assert_int_equal(requests_with_gap(READ_DISCRETE, &cases[i].line, cases[i].bits + 1), 2);
    }
}

static void any_gap_pays_on_tcp_within_the_limits(void **state) {
    (void)state;
    assert_int_equal(requests_with_gap(READ_HOLDING, NULL, 123), 1); /* 125 registers */
    assert_int_equal(requests_with_gap(READ_HOLDING, NULL, 124), 2);
    assert_int_equal(requests_with_gap(READ_COIL, NULL, 1998), 1); /* 2000 bits */
    assert_int_equal(requests_with_gap(READ_COIL, NULL, 1999), 2);
}

static void the_devices_own_limits(void **state) {
    (void)state;
    struct point points[20];
    for (uint16_t i = 0; i < 20; i++)
        points[i] = point_at(READ_HOLDING, i);
    struct device_spec device = device_of(points, 20);
    device.registers_max = 8;
    struct plan plan = build(&device, NULL);
    assert_int_equal(plan.count, 3);
    assert_int_equal(plan.requests[0].count, 8);
    assert_int_equal(plan.requests[2].count, 4);
    device.registers_max = 20;
    assert_int_equal(build(&device, NULL).count, 1);
    points[10].address = 30;
    device.registers_max = REGISTERS_READ_MAX;
    device.gaps_allowed = false;
    plan = build(&device, NULL);
    assert_int_equal(plan.count, 3); /* 0..9, 11..19, 30 */
    assert_int_equal(plan.requests[0].count, 10);
    assert_int_equal(plan.requests[1].address, 11);
    device.gaps_allowed = true;
    assert_int_equal(build(&device, NULL).count, 1);
}

static void never_more_points_than_one_answer_carries(void **state) {
    (void)state;
    static struct point points[POINTS_PER_DEVICE_MAX];
    for (uint16_t i = 0; i < POINTS_PER_DEVICE_MAX; i++)
        points[i] = point_at(READ_COIL, i);
    struct device_spec device = device_of(points, POLLED_POINTS_MAX);
    assert_int_equal(build(&device, NULL).count, 1);
    device.points_count = POLLED_POINTS_MAX + 1;
    struct plan plan = build(&device, NULL);
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.requests[0].points_count, POLLED_POINTS_MAX);
    assert_int_equal(plan.requests[1].points_count, 1);
}

static void what_must_not_share_a_request(void **state) {
    (void)state;
    struct point points[5];
    for (uint16_t i = 0; i < 5; i++)
        points[i] = point_at(READ_HOLDING, i);
    points[1].every_ms = 2000;
    points[2].class = CLASS_FIRE;
    points[3].feeds_action = true;
    points[4].read = READ_INPUT;
    struct device_spec device = device_of(points, 5);
    struct plan plan = build(&device, NULL);
    assert_int_equal(plan.count, 5);
    assert_true(plan.requests[0].fire);
    assert_int_equal(plan.requests[0].points[0], 2);
    for (unsigned i = 0; i < plan.count; i++) {
        const struct point *point = &points[plan.requests[i].points[0]];
        assert_int_equal(plan.requests[i].points_count, 1);
        assert_int_equal(plan.requests[i].fire, point->class == CLASS_FIRE);
        assert_int_equal(plan.requests[i].feeds_action, point->feeds_action);
        assert_int_equal(plan.requests[i].every_ms, point->every_ms);
        assert_int_equal(plan.requests[i].function, point->read);
        assert_int_equal(plan.requests[i].address, point->address);
    }
    points[1].class = CLASS_ELECTRICAL; /* the other classes are polled alike */
    points[1].every_ms = 1000;
    assert_int_equal(build(&device, NULL).count, 4);
}

static void overlapping_and_unordered_points(void **state) {
    (void)state;
    struct point points[4] = {point_at(READ_HOLDING, 12), point_at(READ_HOLDING, 10), point_at(READ_HOLDING, 10), point_at(READ_HOLDING, 11)};
    points[1].type = TYPE_U64;
    points[1].registers = 4; /* 10..13 holds all the others */
    struct device_spec device = device_of(points, 4);
    device.gaps_allowed = false;
    struct plan plan = build(&device, NULL);
    assert_int_equal(plan.count, 1);
    assert_int_equal(plan.requests[0].address, 10);
    assert_int_equal(plan.requests[0].count, 4);
    static const uint16_t expected[] = {1, 2, 3, 0};
    assert_memory_equal(plan.requests[0].points, expected, sizeof(expected));
}

static void splitting(void **state) {
    (void)state;
    struct point points[4] = {point_at(READ_HOLDING, 0), point_at(READ_HOLDING, 5), point_at(READ_HOLDING, 5), point_at(READ_HOLDING, 6)};
    struct device_spec device = device_of(points, 4);
    struct plan plan = build(&device, NULL), split;
    assert_int_equal(plan.count, 1);
    plan_split(&device, &plan.requests[0], &arena, &split);
    assert_int_equal(split.count, 3);
    assert_int_equal(split.requests[1].address, 5);
    assert_int_equal(split.requests[1].count, 1);
    assert_int_equal(split.requests[1].points_count, 2); /* two fields of one register are one read */
    assert_int_equal(split.requests[2].points[0], 3);
    struct plan again;
    plan_split(&device, &split.requests[1], &arena, &again);
    assert_int_equal(again.count, 1);
}

static void too_many_or_too_wide(void **state) {
    (void)state;
    static struct point points[REQUESTS_PER_DEVICE_MAX + 1];
    for (uint16_t i = 0; i <= REQUESTS_PER_DEVICE_MAX; i++)
        points[i] = point_at(READ_HOLDING, (uint16_t)(i * 200));
    struct device_spec device = device_of(points, REQUESTS_PER_DEVICE_MAX + 1);
    struct plan plan;
    assert_int_equal(plan_build(&device, NULL, &arena, &plan), ERR_RANGE);
    device.points_count = REQUESTS_PER_DEVICE_MAX;
    assert_int_equal(build(&device, NULL).count, REQUESTS_PER_DEVICE_MAX);
    struct point wide = point_at(READ_HOLDING, 0);
    wide.registers = 2;
    struct device_spec narrow = device_of(&wide, 1);
    narrow.registers_max = 1;
    assert_int_equal(plan_build(&narrow, NULL, &arena, &plan), ERR_RANGE);
    wide.address = 0xFFFF; /* past the last address */
    narrow.registers_max = 2;
    assert_int_equal(plan_build(&narrow, NULL, &arena, &plan), ERR_RANGE);
    narrow.points_count = 0;
    assert_int_equal(build(&narrow, NULL).count, 0);
}

static void write_only_points_are_not_polled(void **state) {
    (void)state;
    struct point points[2] = {point_at(READ_COIL, 0), point_at(READ_COIL, 1)};
    points[0].writable = points[1].writable = true;
    points[1].verify = true;
    struct device_spec device = device_of(points, 2);
    struct plan plan = build(&device, NULL);
    assert_int_equal(plan.count, 1);
    assert_int_equal(plan.requests[0].points_count, 1);
    assert_int_equal(plan.requests[0].points[0], 1);
}

static void line_time(void **state) {
    (void)state;
    const struct line_timing line = {9600, 11};
    struct plan_request request = {.function = FC_READ_HOLDING, .count = 10};
    /* 33 characters of 1145.83 us, 5000 turnaround, 4011 silence: 46.8 ms as measured */
    assert_int_equal(plan_cost_us(&request, &line, 5000), 37813 + 5000 + 4011);
    request.function = FC_READ_COILS; /* 15 characters */
    assert_int_equal(plan_cost_us(&request, &line, 5000), 17188 + 5000 + 4011);
    assert_int_equal(plan_cost_us(&request, NULL, 5000), 0);
}

static void check_plan(const struct device_spec *device, const struct plan *plan) {
    uint8_t seen[POINTS_PER_DEVICE_MAX] = {0};
    for (unsigned r = 0; r < plan->count; r++) {
        const struct plan_request *request = &plan->requests[r];
        bool bits = request->function <= FC_READ_DISCRETE;
        assert_in_range(request->count, 1, bits ? BITS_READ_MAX : device->registers_max);
        assert_in_range(request->points_count, 1, POLLED_POINTS_MAX);
        for (unsigned i = 0; i < request->points_count; i++) {
            const struct point *point = &device->points[request->points[i]];
            assert_int_equal(seen[request->points[i]]++, 0);
            assert_int_equal((unsigned)point->read, (unsigned)request->function);
            assert_int_equal(point->every_ms, request->every_ms);
            assert_int_equal(point->class == CLASS_FIRE, request->fire);
            assert_int_equal(point->feeds_action, request->feeds_action);
            assert_true(point->address >= request->address);
            assert_true(point->address + (bits ? 1 : point->registers) <= request->address + request->count);
            if (i > 0)
                assert_true(device->points[request->points[i - 1]].address <= point->address);
        }
    }
    for (unsigned i = 0; i < device->points_count; i++)
        assert_int_equal(seen[i], 1);
}

static void random_plans_lose_nothing(void **state) {
    (void)state;
    static const struct line_timing line = {19200, 10};
    struct prng prng;
    prng_init(&prng, 99);
    static struct point points[POINTS_PER_DEVICE_MAX];
    for (int round = 0; round < 2000; round++) {
        uint16_t count = (uint16_t)(1 + prng_below(&prng, 40));
        for (uint16_t i = 0; i < count; i++) {
            points[i] = point_at((enum point_read)(1 + prng_below(&prng, 4)), (uint16_t)prng_below(&prng, 300));
            if (points[i].read >= READ_HOLDING)
                points[i].registers = (uint8_t)(1 + prng_below(&prng, 4));
            points[i].every_ms = prng_below(&prng, 2) ? 1000 : 5000;
            points[i].class = prng_below(&prng, 3) ? CLASS_MAINTENANCE : CLASS_FIRE;
            points[i].feeds_action = prng_below(&prng, 8) == 0;
        }
        struct device_spec device = device_of(points, count);
        device.registers_max = (uint16_t)(4 + prng_below(&prng, 121));
        device.gaps_allowed = prng_below(&prng, 2);
        struct plan plan = build(&device, prng_below(&prng, 2) ? &line : NULL);
        check_plan(&device, &plan);
    }
}

/* 9600 8N1: 10 ms for the road, 13 + 8 characters without data, twice 3.646 of silence, 10.4 for device and host leave 48 characters. */
static void prompt_lines_have_short_answers(void **state) {
    (void)state;
    const struct line_timing line = {9600, 10}, fast = {115200, 10}, slow = {1200, 10};
    struct point points[60];
    struct device_spec device = {.name = "d", .registers_max = 125, .gaps_allowed = true, .points_count = 60, .points = points};
    assert_int_equal(plan_prompt_bytes(&line, 8), 48);
    assert_true(plan_prompt_us(&line, 48, 8) <= ACTION_WRITE_MAX_US && plan_prompt_us(&line, 49, 8) > ACTION_WRITE_MAX_US);
    assert_int_equal(plan_prompt_bytes(&line, 17), 39); /* four registers are written */
    assert_int_equal(plan_prompt_bytes(&fast, 8), 250); /* as much as the protocol allows */
    assert_int_equal(plan_prompt_bytes(&slow, 8), 0);
    for (uint16_t i = 0; i < 60; i++)
        points[i] = (struct point){.name = "p", .read = READ_HOLDING, .address = i, .type = TYPE_U16, .registers = 1, .scale = 1, .every_ms = 1000, .verify = true};
    points[59].registers = 4; /* as wide as it is, alone */
    points[59].address = 100;
    device.reply_bytes_max = 48;
    struct plan plan;
    assert_int_equal(plan_build(&device, &line, &arena, &plan), ERR_OK);
    assert_int_equal(plan.count, 4); /* 24 + 24 + 11, and the one at 100 */
    assert_int_equal(plan.requests[0].count, 24);
    device.reply_bytes_max = 6;
    assert_int_equal(plan_build(&device, &line, &arena, &plan), ERR_OK);
    assert_int_equal(plan.requests[plan.count - 1].count, 4);
    for (uint16_t i = 0; i < 60; i++) {
        points[i].read = READ_COIL;
        points[i].registers = 1;
    }
    assert_int_equal(plan_build(&device, &line, &arena, &plan), ERR_OK);
    assert_int_equal(plan.requests[0].count, 48); /* bits */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompt_lines_have_short_answers),
        cmocka_unit_test(gap_at_its_edge),
        cmocka_unit_test(any_gap_pays_on_tcp_within_the_limits),
        cmocka_unit_test(the_devices_own_limits),
        cmocka_unit_test(never_more_points_than_one_answer_carries),
        cmocka_unit_test(what_must_not_share_a_request),
        cmocka_unit_test(overlapping_and_unordered_points),
        cmocka_unit_test(splitting),
        cmocka_unit_test(too_many_or_too_wide),
        cmocka_unit_test(write_only_points_are_not_polled),
        cmocka_unit_test(line_time),
        cmocka_unit_test(random_plans_lose_nothing),
    };
    return cmocka_run_group_tests_name("plan", tests, set_up, tear_down);
}
