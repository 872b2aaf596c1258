/* SPDX-License-Identifier: Apache-2.0 */
/* The table of interpretations, profiles that fit or do not, and what a device says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/commission/fit.h"
#include "gateway/commission/identity.h"
#include "gateway/commission/views.h"

static char table[16384];

static void make_table(uint32_t first, const uint16_t *registers, const bool *present, unsigned count, uint32_t address, unsigned columns) {
    struct views views = {.first = first, .count = count, .registers = registers, .present = present};
    struct text text;
    text_init(&text, table, sizeof(table));
    views_add(&views, address, columns, address, &text);
    assert_false(text.full);
}

/* The whole line that begins with this label. */
static const char *row(const char *label) {
    static char line[128];
    const char *at = strstr(table, label);
    assert_non_null(at);
    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

static void a_float_is_recognised_in_each_order(void **state) {
    (void)state;
    static const uint16_t orders[4][2] = {{0x4366, 0x3333}, {0x3333, 0x4366}, {0x6643, 0x3333}, {0x3333, 0x6643}};
    static const char *const labels[] = {"f32 abcd", "f32 cdab", "f32 badc", "f32 dcba"};
    static const bool present[] = {true, true};
    for (unsigned i = 0; i < 4; i++) {
        char wanted[40];
        make_table(0, orders[i], present, 2, 0, 1);
        (void)snprintf(wanted, sizeof(wanted), "%s 230.2 *", labels[i]);
        assert_string_equal(row(labels[i]), wanted);
        for (unsigned other = 0; other < 4; other++)
            if (other != i)
                assert_null(strchr(row(labels[other]), '*'));
    }
}

static void neighbours_stand_beside_and_lines_fit(void **state) {
    (void)state;
    static const uint16_t registers[] = {0x0292, 0xFF9B, 0x4142, 0x7FFF, 0xFFFF, 0xFFFF, 0x1234, 0x8000};
    static const bool present[] = {true, true, true, true, true, true, true, false};
    make_table(9, registers, present, 8, 9, 3);
    assert_string_equal(row("address"), "address  9 (0x0009) <-          10 (0x000A)            11 (0x000B)");
    assert_string_equal(row("u16  "), "u16      658 *                  65435                  16706 *");
    assert_string_equal(row("s16"), "s16                             -101 *");
    assert_string_equal(row("text"), "text     \"....AB..\"             \"..AB....\"             \"AB......\"");
    for (const char *line = table; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    make_table(9, registers, present, 8, 16, 1);
    assert_string_equal(row("hex"), "hex      not there");
}

static void sentinels_and_zero_are_not_plausible(void **state) {
    (void)state;
    static const uint64_t no[] = {0, 0x7FFF, 0x8000, 0xFFFF};
    for (size_t i = 0; i < ARRAY_COUNT(no); i++)
        assert_false(views_plausible(TYPE_U16, &(struct value){.kind = VALUE_INTEGER, .integer = (int64_t)no[i]}));
    assert_true(views_plausible(TYPE_U16, &(struct value){.kind = VALUE_INTEGER, .integer = 235}));
    assert_false(views_plausible(TYPE_F32, &(struct value){.kind = VALUE_NUMBER, .number = 1e30}));
    assert_false(views_plausible(TYPE_F32, &(struct value){.kind = VALUE_NUMBER, .number = 1e-20}));
    assert_true(views_plausible(TYPE_F32, &(struct value){.kind = VALUE_NUMBER, .number = -12.5}));
}

static struct point points[] = {
    {.name = "humidity",
     .unit = "%",
     .read = READ_HOLDING,
     .address = 0,
     .type = TYPE_U16,
     .registers = 1,
     .scale = 0.1,
     .has_range = true,
     .range_max = 100},
    {.name = "temperature",
     .unit = "C",
     .read = READ_HOLDING,
     .address = 1,
     .type = TYPE_S16,
     .registers = 1,
     .scale = 0.1,
     .has_range = true,
     .range_min = -40,
     .range_max = 80,
     .error_values_count = 1,
     .error_values = {0x7FFF}},
};
static const struct profile profile = {
    .name = "ws", .registers_max = 125, .gaps = true, .points_count = 2, .points = points, .address_register = {true, false, 0x7D0}};

static void fit_with(struct fit *fit, struct arena *arena, uint16_t humidity, uint16_t temperature) {
    struct bus_answer answer = {.status = BUS_ANSWERED,
                                .pdu = {{3, 4, (uint8_t)(humidity >> 8), (uint8_t)humidity, (uint8_t)(temperature >> 8), (uint8_t)temperature}, 6}};
    fit_init(fit, &profile, arena);
    assert_int_equal(fit_requests(fit), 1); /* both points in one read */
    assert_int_equal(fit_request(fit, 0)->count, 2);
    fit_note(fit, 0, &answer);
}

static void a_profile_fits_what_is_in_its_ranges(void **state) {
    (void)state;
    struct arena arena;
    struct fit fit, zero;
    struct text text;
    char bytes[128];
    arena_init(&arena);
    fit_with(&fit, &arena, 658, (uint16_t)-101);
    assert_int_equal(fit_verdict(&fit), FIT_YES);
    text_init(&text, bytes, sizeof(bytes));
    fit_add_values(&fit, &text);
    assert_string_equal(bytes, "humidity 65.8 %, temperature -10.1 C");
    fit_with(&zero, &arena, 0, 0);
    assert_int_equal(fit_verdict(&zero), FIT_YES);
    assert_true(fit_weight(&zero) < fit_weight(&fit)); /* zeros fit everything */
    assert_true(fit_weight(&zero) < FIT_WEIGHT_SURE);
    fit_note_address(&fit, 7, 7);
    assert_true(fit_weight(&fit) >= FIT_WEIGHT_SURE);
    fit_with(&fit, &arena, 658, 235);
    fit_note_address(&fit, 12, 7);
    assert_int_equal(fit_verdict(&fit), FIT_NO);
    arena_done(&arena);
}

static void a_profile_does_not_fit_what_cannot_be(void **state) {
    (void)state;
    struct arena arena;
    struct fit fit;
    arena_init(&arena);
    fit_with(&fit, &arena, 1001, 235); /* 100.1 % */
    assert_int_equal(fit_verdict(&fit), FIT_NO);
    fit_with(&fit, &arena, 500, 0x7FFF); /* the probe is missing: still this device */
    assert_int_equal(fit_verdict(&fit), FIT_YES);
    fit_init(&fit, &profile, &arena);
    assert_int_equal(fit_verdict(&fit), FIT_NO); /* nothing is known */
    fit_note(&fit, 0, &(struct bus_answer){.status = BUS_ANSWERED, .pdu = {{0x83, 2}, 2}});
    assert_int_equal(fit_verdict(&fit), FIT_NO);
    fit_init(&fit, &profile, &arena);
    fit_note(&fit, 0, &(struct bus_answer){.status = BUS_TIMEOUT});
    assert_int_equal(fit_verdict(&fit), FIT_NO);
    arena_done(&arena);
}

static void identification_is_read(void **state) {
    (void)state;
    struct pdu pdu = {{0x2B, 0x0E, 1, 1, 0, 0, 3, 0, 4, 'A', 'c', 'm', 'e', 1, 3, 'X', '-', '1', 2, 4, 'v', '1', ' ', 0}, 24};
    struct identity identity;
    assert_int_equal(identity_read(&pdu, &identity), ERR_OK);
    assert_string_equal(identity.vendor, "Acme");
    assert_string_equal(identity.product, "X-1");
    assert_string_equal(identity.revision, "v1");
    for (uint8_t size = 0; size < 24; size++) { /* cut anywhere */
        pdu.size = size;
        assert_int_equal(identity_read(&pdu, &identity), ERR_PROTOCOL);
    }
    pdu = (struct pdu){{0xAB, 1}, 2};
    assert_int_equal(identity_read(&pdu, &identity), ERR_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_float_is_recognised_in_each_order),   cmocka_unit_test(neighbours_stand_beside_and_lines_fit),
        cmocka_unit_test(sentinels_and_zero_are_not_plausible),  cmocka_unit_test(a_profile_fits_what_is_in_its_ranges),
        cmocka_unit_test(a_profile_does_not_fit_what_cannot_be), cmocka_unit_test(identification_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
