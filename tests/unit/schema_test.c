/* SPDX-License-Identifier: Apache-2.0 */
/* Scalars are strict, the table of keys is consistent with itself, and what is printed from it says what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/scalar.h"
#include "config/schema.h"

static void assert_double(double value, double expected) {
    if (fabs(value - expected) > 1e-12)
        fail_msg("%g instead of %g", value, expected);
}

static void durations_are_strict(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"500ms", 500}, {"5s", 5000}, {"3min", 180000}, {"2h", 7200000}, {"10d", 864000000}, {"0s", 0}, {"1.5s", 1500}, {"0.25s", 250}};
    static const char *const bad[] = {
        "", "5", "s", "5 s", "5S", "5m", "-5s", "+5s", "05s", "5s ", " 5s", "0.5ms", "1e9999s", "5ss", ".5s", "0x5s", "99999999999999d"};
    uint64_t ms;
    char text[DURATION_SIZE];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(scalar_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (scalar_duration(bad[i], &ms))
            fail_msg("'%s' was taken for a duration", bad[i]);
    assert_string_equal(scalar_duration_text(text, 90000), "90s");
    assert_string_equal(scalar_duration_text(text, 0), "0s");
    assert_string_equal(scalar_duration_text(text, 86400000), "1d");
    assert_string_equal(scalar_duration_text(text, 250), "250ms");
}

static void numbers_and_quantities_are_strict(void **state) {
    (void)state;
    uint64_t whole;
    int64_t with_sign;
    double number;
    const char *unit;
    assert_true(scalar_unsigned("0", &whole) && whole == 0);
    assert_true(scalar_unsigned("0x1F", &whole) && whole == 31);
    assert_true(scalar_unsigned("18446744073709551615", &whole) && whole == UINT64_MAX);
    assert_false(scalar_unsigned("010", &whole) || scalar_unsigned("-1", &whole) || scalar_unsigned("1x", &whole) || scalar_unsigned("", &whole));
    assert_false(scalar_unsigned("18446744073709551616", &whole));
    assert_true(scalar_signed("-7", &with_sign) && with_sign == -7);
    assert_false(scalar_signed("-07", &with_sign) || scalar_signed("9223372036854775808", &with_sign));
    assert_true(scalar_quantity("9 A", &number, &unit) && strcmp(unit, "A") == 0);
    assert_double(number, 9);
    assert_true(scalar_quantity("-0.5°C", &number, &unit) && strcmp(unit, "°C") == 0);
    assert_true(scalar_quantity("65 %", &number, &unit) && strcmp(unit, "%") == 0);
    assert_true(scalar_quantity("1e3", &number, &unit) && !*unit);
    assert_double(number, 1000);
    assert_true(scalar_quantity("5 eV", &number, &unit) && strcmp(unit, "eV") == 0);
    assert_false(scalar_quantity("A 9", &number, &unit) || scalar_quantity("", &number, &unit) || scalar_quantity("009 A", &number, &unit));
    assert_true(scalar_size("512 MB", &whole) && whole == 512000000);
    assert_true(scalar_size("1.5GB", &whole) && whole == 1500000000);
    assert_false(scalar_size("512", &whole) || scalar_size("512 mb", &whole) || scalar_size("-1 MB", &whole));
}

static void times_are_strict(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2026-12-01T08:00:00+08:00", 1796083200000},
                {"2000-02-29T23:59:59.5-00:30", 951870599500},
                {"2100-03-01T00:00:00Z", 4107542400000},
                {"9999-12-31T23:59:59.999Z", 253402300799999},
                {"2024-02-29T00:00:00.010+00:00", 1709164800010}};
    static const char *const bad[] = {"",
                                      "2026-12-01",
                                      "2026-12-01T08:00:00",
                                      "2026-12-01 08:00:00+08:00",
                                      "2026-12-01t08:00:00z",
                                      "2026-13-01T08:00:00Z",
                                      "2026-00-01T08:00:00Z",
                                      "2026-02-29T08:00:00Z",
                                      "2100-02-29T08:00:00Z",
                                      "2026-04-31T08:00:00Z",
                                      "2026-12-01T24:00:00Z",
                                      "2026-12-01T08:60:00Z",
                                      "2026-12-01T08:00:60Z",
                                      "2026-12-01T08:00:00.Z",
                                      "2026-12-01T08:00:00.1234Z",
                                      "2026-12-01T08:00:00+0800",
                                      "2026-12-01T08:00:00+24:00",
                                      "2026-12-01T08:00:00+08:60",
                                      "2026-12-01T08:00:00+08:00 ",
                                      "1969-12-31T23:59:59Z",
                                      "26-12-01T08:00:00Z",
                                      "2026-12-01T08:00Z"};
    int64_t ms;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(scalar_time(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (scalar_time(bad[i], &ms))
            fail_msg("'%s' was taken for a time", bad[i]);
}

static void hours_are_strict(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "10:00", "10-22", "9:00-18:00", "10:00-10:00", "24:00-10:00", "10:00-24:01", "10:60-11:00", "10:00 - 22:00", "10:00-22:00 "};
    uint16_t opens, closes;
    assert_true(scalar_hours("10:00-22:30", &opens, &closes) && opens == 600 && closes == 1350);
    assert_true(scalar_hours("18:00-02:00", &opens, &closes) && opens == 1080 && closes == 120);
    assert_true(scalar_hours("00:00-24:00", &opens, &closes) && opens == 0 && closes == 1440);
    assert_true(scalar_hours("18:00-00:00", &opens, &closes) && opens == 1080 && closes == 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (scalar_hours(bad[i], &opens, &closes))
            fail_msg("'%s' was taken for hours", bad[i]);
}

/* Everything the table says about itself must be true: a default that is no right value, or a key without a sentence in
 * both languages, is a mistake of ours. */
static void check_shape(const struct schema_shape *shape, unsigned depth) {
    assert_true(depth < 8);
    for (size_t i = 0; i < shape->count; i++) {
        const struct schema_key *key = &shape->keys[i];
        struct node value = {.kind = NODE_SCALAR, .text = key->fallback ? key->fallback : ""};
        bool in_point_unit = key->type == SCHEMA_QUANTITY;
        if (key->fallback && !in_point_unit && !schema_scalar_ok(key, &value, NULL, 0))
            fail_msg("the default '%s' of %s.%s is not right", key->fallback, shape->name, key->name);
        if (!key->en || !*key->en || !key->zh || !*key->zh)
            fail_msg("%s.%s has no sentence in one of the languages", shape->name, key->name);
        if (key->min > key->max)
            fail_msg("%s.%s has a range from above to below", shape->name, key->name);
        assert_int_equal(key->of != NULL, key->type == SCHEMA_MAP || key->type == SCHEMA_MAP_OF);
        assert_int_equal(key->item != NULL, key->type == SCHEMA_LIST || key->type == SCHEMA_NAMES);
        const struct schema_shape *below = key->of ? key->of : key->item ? key->item->of : NULL;
        if (below && below != shape) {
            check_shape(below, depth + 1);
            continue;
        }
        assert_true(!below || shape->recursive); /* who walks the table must know */
    }
}

static void the_table_is_consistent(void **state) {
    (void)state;
    check_shape(&schema_site, 0);
    check_shape(&schema_profile, 0);
}

static void keys_are_explained(void **state) {
    (void)state;
    char *printed = NULL;
    size_t size;
    FILE *to = open_memstream(&printed, &size);
    assert_true(schema_explain("uplinks.*.readings.batch", to, to));
    assert_true(schema_explain("devices.meter-1.points.*.read", to, to));
    assert_true(schema_explain("profile.points.*.scale", to, to));
    assert_true(schema_explain("alarms", to, to));
    assert_true(schema_explain("derived.f/base.base_fume", to, to));
    assert_true(schema_explain("alarms.*.not.any.point", to, to));
    fflush(to);
    assert_non_null(strstr(printed, "uplinks.*.readings.batch: duration (500ms, 5s, 3min, 2h, 10d), 0s to 10min; default 5s"));
    assert_non_null(strstr(printed, "读数合并发送的时间"));
    assert_non_null(strstr(printed, "derived.f/base.base_fume: list of 2"));
    assert_false(schema_explain("devices.*.unit_i", to, to));
    assert_false(schema_explain("gateway.id.x", to, to));
    assert_false(schema_explain("", to, to));
    assert_false(schema_explain("...", to, to));
    fflush(to);
    assert_non_null(strstr(printed, "did you mean 'unit_id'?"));
    schema_explain_list(to);
    fflush(to);
    assert_non_null(strstr(printed, "\nprofile.points.*.error_values "));
    assert_non_null(strstr(printed, "\nderived.*.run_hours "));
    assert_non_null(strstr(printed, "\nalarms.*.all.missing "));
    fclose(to);
    free(printed);
}

/* Enough to know that it is JSON: quotes and brackets close. That it is a good schema is tried with an editor's validator. */
static void the_schema_is_json(void **state) {
    (void)state;
    char *printed = NULL, open[64];
    size_t size, depth = 0;
    FILE *to = open_memstream(&printed, &size);
    schema_print_json(to);
    fclose(to);
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = printed[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '{' || c == '[')) {
            assert_true(depth < sizeof(open));
            open[depth++] = c == '{' ? '}' : ']';
        } else if (!quoted && (c == '}' || c == ']')) {
            assert_true(depth > 0);
            assert_int_equal(open[--depth], c);
        }
    }
    assert_int_equal(depth, 0);
    assert_non_null(strstr(printed, "\"not\":{\"allOf\":[{\"$ref\":\"#/$defs/condition\"}]"));
    assert_non_null(strstr(printed, "\"unit_id\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":247"));
    free(printed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_strict), cmocka_unit_test(numbers_and_quantities_are_strict), cmocka_unit_test(times_are_strict),
        cmocka_unit_test(hours_are_strict),     cmocka_unit_test(the_table_is_consistent),           cmocka_unit_test(keys_are_explained),
        cmocka_unit_test(the_schema_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
