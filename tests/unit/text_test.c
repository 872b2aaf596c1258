/* SPDX-License-Identifier: Apache-2.0 */
/* Text as it leaves the gateway: every form is compared byte for byte, also under a locale with a decimal comma. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/prng.h"
#include "base/text.h"

static void writer_never_half(void **state) {
    (void)state;
    char bytes[8];
    struct text text;
    text_init(&text, bytes, sizeof(bytes));
    text_add(&text, "abc");
    text_add_json(&text, "long");
    assert_true(text.full);
    assert_string_equal(bytes, "abc");
    text_add_char(&text, 'd');
    assert_string_equal(bytes, "abc");
    text_init(&text, bytes, sizeof(bytes));
    text_add(&text, "1234567");
    assert_false(text.full);
    text_add(&text, "");
    assert_false(text.full);
    text_add_char(&text, '8');
    assert_true(text.full);
}

static void whole_numbers(void **state) {
    (void)state;
    char bytes[128];
    struct text text;
    text_init(&text, bytes, sizeof(bytes));
    text_add_u64(&text, UINT64_MAX);
    text_add_char(&text, ' ');
    text_add_s64(&text, INT64_MIN);
    text_add_char(&text, ' ');
    text_add_hex64(&text, 0xABC);
    assert_string_equal(bytes, "18446744073709551615 -9223372036854775808 0000000000000abc");
}

static const struct {
    double value;
    const char *form;
} doubles[] = {
    {0.0, "0"},
    {-0.0, "-0"},
    {0.1, "0.1"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {100000, "100000"},
    {1e15, "1e+15"},
    {1e300, "1e+300"},
    {1e-7, "1e-7"},
    {-1.5e-10, "-1.5e-10"},
    {123456.789, "123456.789"},
    {9007199254740993.0, "9007199254740992"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {DBL_MIN, "2.2250738585072014e-308"},
    {5e-324, "5e-324"},
    {INFINITY, "null"},
    {-INFINITY, "null"},
    {NAN, "null"},
};

static void shortest_doubles(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(doubles); i++) {
        char bytes[64];
        struct text text;
        text_init(&text, bytes, sizeof(bytes));
        text_add_double(&text, doubles[i].value);
        assert_string_equal(bytes, doubles[i].form);
    }
}

static void doubles_round_trip(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t bits = prng_next(&prng);
        double value, back = 0;
        if (i % 3 == 0)
            value = (double)((int64_t)prng_below(&prng, 2000000) - 1000000) / 1000; /* what sensors say */
        else
            memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        char bytes[64];
        struct text text;
        text_init(&text, bytes, sizeof(bytes));
        text_add_double(&text, value);
        assert_true(text_read_double(bytes, &back));
        assert_memory_equal(&value, &back, sizeof(value));
        if (i % 3 == 0)
            assert_true(text.length <= 9);
    }
}

/* Ubuntu and Debian images carry no such locale; then the rest of the test still stands. */
static void locale_does_not_matter(void **state) {
    static const char *names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8", "ps_AF.UTF-8"};
    bool found = false;
    for (size_t i = 0; i < ARRAY_COUNT(names) && !found; i++)
        found = setlocale(LC_ALL, names[i]) && localeconv()->decimal_point[0] != '.';
    if (!found) {
        setlocale(LC_ALL, "C");
        skip();
    }
    shortest_doubles(state);
    double value = 0;
    assert_true(text_read_double("1.25", &value));
    assert_true(value == 1.25);
    assert_false(text_read_double("1,25", &value));
    setlocale(LC_ALL, "C");
}

static void json_strings(void **state) {
    (void)state;
    static const struct {
        const char *string, *form;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"\"\\/", "\"\\\"\\\\/\""},
        {"\b\f\n\r\t\x01\x1F\x7F", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\""},
        {"\xE7\x83\x9F\xE7\x81\xAB \xF0\x9F\x94\xA5", "\"\xE7\x83\x9F\xE7\x81\xAB \xF0\x9F\x94\xA5\""},
        {"a\xFFz", "\"a\xEF\xBF\xBDz\""},
        {"\xE7\x83", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},                 /* cut */
        {"\xC0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},                 /* overlong */
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* surrogate */
        {NULL, "null"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char bytes[128];
        struct text text;
        text_init(&text, bytes, sizeof(bytes));
        text_add_json(&text, cases[i].string);
        assert_string_equal(bytes, cases[i].form);
    }
}

static void json_is_always_utf8(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 11);
    for (unsigned round = 0; round < 20000; round++) {
        char string[16], bytes[128];
        size_t length = prng_below(&prng, sizeof(string));
        for (size_t i = 0; i < length; i++)
            string[i] = (char)(1 + prng_below(&prng, 255));
        string[length] = '\0';
        struct text text;
        text_init(&text, bytes, sizeof(bytes));
        text_add_json(&text, string);
        assert_false(text.full);
        assert_true(text_is_utf8(bytes, text.length));
        for (size_t i = 0; i < text.length; i++)
            assert_true((unsigned char)bytes[i] >= 0x20);
    }
}

static void times(void **state) {
    (void)state;
    static const struct {
        int64_t wall_ms;
        int offset_minutes;
        const char *form;
    } cases[] = {
        {0, 0, "1970-01-01T00:00:00.000+00:00"},
        {-1, 0, "1969-12-31T23:59:59.999+00:00"},
        {1795406400123, 480, "2026-11-23T12:00:00.123+08:00"},
        {951782400000, 0, "2000-02-29T00:00:00.000+00:00"},
        {951868800000, -1, "2000-02-29T23:59:00.000-00:01"},
        {4107542400000, 0, "2100-03-01T00:00:00.000+00:00"}, /* 2100 is not a leap year */
        {1704067199999, 0, "2023-12-31T23:59:59.999+00:00"},
        {0, -570, "1969-12-31T14:30:00.000-09:30"},
        {253402300799999, 0, "9999-12-31T23:59:59.999+00:00"},
        {253402300799999, 60, "9999-12-31T23:59:59.999+01:00"}, /* held at the last that four digits can say */
        {INT64_MAX, 480, "9999-12-31T23:59:59.999+08:00"},
        {INT64_MIN, -480, "0000-01-01T00:00:00.000-08:00"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char bytes[64];
        struct text text;
        text_init(&text, bytes, sizeof(bytes));
        text_add_time(&text, cases[i].wall_ms, cases[i].offset_minutes);
        assert_string_equal(bytes, cases[i].form);
    }
}

static void times_read(void **state) {
    (void)state;
    static const struct {
        const char *string;
        int64_t wall_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2026-11-23T12:00:00.123+08:00", 1795406400123},
        {"2026-11-23T04:00:00.123999999Z", 1795406400123}, /* cut, not rounded */
        {"2026-11-23T04:00:00.5Z", 1795406400500},
        {"2026-11-23T04:00:00.05Z", 1795406400050},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2000-02-29T23:59:00.000-00:01", 951868800000},
        {"2024-02-29T12:00:00Z", 1709208000000},
        {"2100-03-01T00:00:00+00:00", 4107542400000},
        {"1969-12-31T14:30:00.000-09:30", 0},
        {"0000-01-01T00:00:00Z", -62167219200000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"2026-01-01T00:00:00+23:59", 1767139260000},
    };
    static const char *const wrong[] = {"",
                                        "2026-11-23",
                                        "2026-11-23T12:00:00",
                                        "2026-11-23 12:00:00Z",
                                        "2026-11-23t12:00:00z",
                                        "2026-11-23T12:00:60Z",
                                        "2026-11-23T12:60:00Z",
                                        "2026-11-23T24:00:00Z",
                                        "2026-13-01T00:00:00Z",
                                        "2026-00-01T00:00:00Z",
                                        "2026-04-31T00:00:00Z",
                                        "2026-04-00T00:00:00Z",
                                        "2026-02-29T00:00:00Z",
                                        "2100-02-29T00:00:00Z",
                                        "2026-11-23T12:00:00.Z",
                                        "2026-11-23T12:00:00.1234567890Z",
                                        "2026-11-23T12:00:00,5Z",
                                        "2026-11-23T12:00:00+08",
                                        "2026-11-23T12:00:00+0800",
                                        "2026-11-23T12:00:00+24:00",
                                        "2026-11-23T12:00:00+08:60",
                                        "2026-11-23T12:00:00Z ",
                                        " 2026-11-23T12:00:00Z",
                                        "2026-11-23T12:00:00ZZ",
                                        "+026-11-23T12:00:00Z",
                                        "2026-1-23T12:00:00Z",
                                        "12026-11-23T12:00:00Z"};
    int64_t wall_ms = 77;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (text_read_time(wrong[i], &wall_ms))
            fail_msg("'%s' is read as a time", wrong[i]);
    assert_int_equal(wall_ms, 77);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_true(text_read_time(cases[i].string, &wall_ms));
        assert_int_equal(wall_ms, cases[i].wall_ms);
    }
    struct prng prng;
    prng_init(&prng, 5);
    for (unsigned i = 0; i < 100000; i++) { /* what is written is read back, in every zone */
        char bytes[64];
        struct text text;
        int64_t written_ms = (int64_t)prng_below(&prng, 315537897600000 - 172800000) - 62167219200000 + 86400000;
        text_init(&text, bytes, sizeof(bytes));
        text_add_time(&text, written_ms, (int)prng_below(&prng, 2879) - 1439);
        assert_true(text_read_time(bytes, &wall_ms));
        assert_int_equal(wall_ms, written_ms);
    }
}

static void strict_numbers(void **state) {
    (void)state;
    uint64_t u = 77;
    int64_t s = 77;
    double d = 77;
    static const char *not_u64[] = {"", " 1", "1 ", "+1", "-1", "5x", "0x", "0xG", "18446744073709551616", "0x10000000000000000", "1e3", "1.0"};
    static const char *not_s64[] = {"", "-", "+1", "--1", "-9223372036854775809", "9223372036854775808", "0x1", "1 "};
    static const char *not_double[] = {"",   "-",  "nan", "inf", "-infinity", "0x1p3", "1e", "1e+",  ".5",
                                       "5.", "+1", " 1",  "1 ",  "1,5",       "1e400", "5x", "1.2.3"};
    for (size_t i = 0; i < ARRAY_COUNT(not_u64); i++)
        assert_false(text_read_u64(not_u64[i], &u));
    for (size_t i = 0; i < ARRAY_COUNT(not_s64); i++)
        assert_false(text_read_s64(not_s64[i], &s));
    for (size_t i = 0; i < ARRAY_COUNT(not_double); i++)
        assert_false(text_read_double(not_double[i], &d));
    assert_true(u == 77 && s == 77 && d == 77);
    assert_true(text_read_u64("18446744073709551615", &u) && u == UINT64_MAX);
    assert_true(text_read_u64("0xfFfFffffffffffff", &u) && u == UINT64_MAX);
    assert_true(text_read_u64("0x1f", &u) && u == 31);
    assert_true(text_read_s64("-9223372036854775808", &s) && s == INT64_MIN);
    assert_true(text_read_s64("9223372036854775807", &s) && s == INT64_MAX);
    assert_true(text_read_s64("-0", &s) && s == 0);
    assert_true(text_read_double("-1.5e-3", &d) && d == -1.5e-3);
    assert_true(text_read_double("007", &d) && d == 7);
    char digits[400];
    memset(digits, '1', sizeof(digits));
    digits[sizeof(digits) - 1] = '\0';
    assert_false(text_read_double(digits, &d));
}

static void copies_and_names(void **state) {
    (void)state;
    char target[6];
    assert_true(text_copy(target, sizeof(target), "12345"));
    assert_false(text_copy(target, sizeof(target), "123456"));
    assert_string_equal(target, "12345");
    assert_false(text_copy(target, sizeof(target), "\xE7\x83\x9F\xE7\x81\xAB"));
    assert_string_equal(target, "\xE7\x83\x9F");
    assert_int_equal(text_distance("unit", "unit", 2), 0);
    assert_int_equal(text_distance("unti", "unit", 2), 2);
    assert_int_equal(text_distance("period", "periods", 2), 1);
    assert_int_equal(text_distance("kitten", "sitting", 3), 3);
    assert_int_equal(text_distance("kitten", "sitting", 2), 3);
    assert_int_equal(text_distance("", "abc", 9), 3);
    assert_int_equal(text_distance("a", "abcdefgh", 2), 3);
    char longer[NAME_SIZE + 9];
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(text_distance(longer, longer, 2), 3);
    assert_false(text_is_name(longer));
    longer[NAME_SIZE] = '\0';
    assert_false(text_is_name(longer));
    longer[NAME_SIZE - 1] = '\0';
    assert_true(text_is_name(longer));
    assert_true(text_is_name("smoke-1_a.b") && text_is_name("1"));
    assert_false(text_is_name("") || text_is_name("-a") || text_is_name("a b") || text_is_name("a/b") || text_is_name("\xE7\x83\x9F"));
}

static void floats_as_people_mean_them(void **state) {
    (void)state;
    assert_true(text_widen_float(230.2f) == 230.2);
    assert_true(text_widen_float(-0.1f) == -0.1);
    assert_true(text_widen_float(16777216.0f) == 16777216.0);
    assert_true(text_widen_float(0.0f) == 0.0);
    assert_true(isnan(text_widen_float(NAN)) && isinf(text_widen_float(INFINITY)));
    struct prng prng;
    prng_init(&prng, 7);
    for (unsigned i = 0; i < 200000; i++) { /* whatever the bits, the same float comes back */
        uint32_t bits = (uint32_t)prng_next(&prng);
        float value;
        memcpy(&value, &bits, sizeof(value));
        if (!isnan(value))
            assert_true((float)text_widen_float(value) == value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writer_never_half),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(shortest_doubles),
        cmocka_unit_test(doubles_round_trip),
        cmocka_unit_test(locale_does_not_matter),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(json_is_always_utf8),
        cmocka_unit_test(times),
        cmocka_unit_test(times_read),
        cmocka_unit_test(strict_numbers),
        cmocka_unit_test(copies_and_names),
        cmocka_unit_test(floats_as_people_mean_them),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
