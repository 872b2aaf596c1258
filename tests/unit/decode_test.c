/* SPDX-License-Identifier: Apache-2.0 */
/* Every type in every order, edges, sentinels, ranges, fields, published replies of real devices, and a round trip of random
 * values through decode_encode and decode_point. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "sensors/decode.h"

static struct point point_of(enum point_type type, enum point_order order, uint8_t registers) {
    struct point point = {.name = "p", .read = READ_HOLDING, .type = type, .order = order, .registers = registers, .scale = 1};
    return point;
}

static struct reading decode_at_0(const struct point *point, const char *wire) {
    struct reading reading;
    memset(&reading, 0xA5, sizeof(reading));
    decode_point(point, (const uint8_t *)wire, 2 * (size_t)point->registers, 0, point->registers, &reading);
    return reading;
}

static void assert_integer(struct reading reading, int64_t expected) {
    assert_int_equal(reading.quality, QUALITY_GOOD);
    assert_int_equal(reading.reason, REASON_NONE);
    assert_int_equal(reading.value.kind, VALUE_INTEGER);
    assert_true(reading.value.integer == expected);
}

static void assert_number(struct reading reading, double expected) {
    assert_int_equal(reading.quality, QUALITY_GOOD);
    assert_int_equal(reading.reason, REASON_NONE);
    assert_int_equal(reading.value.kind, VALUE_NUMBER);
    assert_true(reading.value.number == expected);
}

static void assert_rejected(struct reading reading, enum quality_reason reason) {
    assert_int_equal(reading.quality, QUALITY_BAD);
    assert_int_equal(reading.reason, reason);
    assert_int_equal(reading.value.kind, VALUE_NONE);
}

struct order_vector {
    enum point_type type;
    uint8_t registers;
    const char *wire[4]; /* ABCD, CDAB, BADC, DCBA */
    int64_t integer;
    double number;
    const char *text;
};

static const struct order_vector order_vectors[] = {
    {TYPE_BIT, 1, {"\x00\x01", "\x00\x01", "\x01\x00", "\x01\x00"}, .integer = 1},
    {TYPE_U16, 1, {"\xF1\x02", "\xF1\x02", "\x02\xF1", "\x02\xF1"}, .integer = 0xF102},
    {TYPE_S16, 1, {"\xF1\x02", "\xF1\x02", "\x02\xF1", "\x02\xF1"}, .integer = 0xF102 - 0x10000},
    {TYPE_U32, 2, {"\xF1\x02\x03\x04", "\x03\x04\xF1\x02", "\x02\xF1\x04\x03", "\x04\x03\x02\xF1"}, .integer = 0xF1020304},
    {TYPE_S32,
     2,
     {"\xF1\x02\x03\x04", "\x03\x04\xF1\x02", "\x02\xF1\x04\x03", "\x04\x03\x02\xF1"},
     .integer = INT64_C(0xF1020304) - INT64_C(0x100000000)},
    {TYPE_U64,
     4,
     {"\x01\x02\x03\x04\x05\x06\x07\x08", "\x07\x08\x05\x06\x03\x04\x01\x02", "\x02\x01\x04\x03\x06\x05\x08\x07", "\x08\x07\x06\x05\x04\x03\x02\x01"},
     .integer = 0x0102030405060708},
    {TYPE_S64,
     4,
     {"\xFF\xFE\xFD\xFC\xFB\xFA\xF9\xF8", "\xF9\xF8\xFB\xFA\xFD\xFC\xFF\xFE", "\xFE\xFF\xFC\xFD\xFA\xFB\xF8\xF9", "\xF8\xF9\xFA\xFB\xFC\xFD\xFE\xFF"},
     .integer = -INT64_C(0x01020304050608)},
    {TYPE_F32, 2, {"\x43\x66\x33\x34", "\x33\x34\x43\x66", "\x66\x43\x34\x33", "\x34\x33\x66\x43"}, .number = 230.20001},
    {TYPE_F32, 2, {"\x7F\x7F\xFF\xFF", "\xFF\xFF\x7F\x7F", "\x7F\x7F\xFF\xFF", "\xFF\xFF\x7F\x7F"}, .number = 3.4028235e38}, /* the largest */
    {TYPE_F64,
     4,
     {"\x40\x09\x21\xFB\x54\x44\x2D\x18", "\x2D\x18\x54\x44\x21\xFB\x40\x09", "\x09\x40\xFB\x21\x44\x54\x18\x2D", "\x18\x2D\x44\x54\xFB\x21\x09\x40"},
     .number = 3.141592653589793},
    {TYPE_STRING, 3, {"ABCDEF", "EFCDAB", "BADCFE", "FEDCBA"}, .text = "ABCDEF"},
    {TYPE_BCD, 2, {"\x12\x34\x56\x78", "\x56\x78\x12\x34", "\x34\x12\x78\x56", "\x78\x56\x34\x12"}, .integer = 12345678},
};

static void every_type_in_every_order(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(order_vectors); i++)
        for (unsigned order = ORDER_ABCD; order <= ORDER_DCBA; order++) {
            const struct order_vector *vector = &order_vectors[i];
            struct point point = point_of(vector->type, order, vector->registers);
            struct reading reading = decode_at_0(&point, vector->wire[order]);
            uint16_t registers[16];
            if (vector->text != NULL) {
                assert_int_equal(reading.quality, QUALITY_GOOD);
                assert_int_equal(reading.value.kind, VALUE_TEXT);
                assert_string_equal(reading.value.text, vector->text);
            } else if (vector->number != 0) {
                assert_number(reading, vector->number);
            } else {
                assert_integer(reading, vector->integer);
            }
            assert_int_equal(decode_encode(&point, &reading.value, registers), ERR_OK);
            for (unsigned r = 0; r < vector->registers; r++) {
                assert_int_equal(registers[r] >> 8, (uint8_t)vector->wire[order][2 * r]);
                assert_int_equal(registers[r] & 0xFF, (uint8_t)vector->wire[order][2 * r + 1]);
            }
        }
}

static void edges_of_whole_numbers(void **state) {
    (void)state;
    static const struct {
        enum point_type type;
        const char *wire;
        int64_t expected;
    } cases[] = {
        {TYPE_U16, "\x00\x00", 0},
        {TYPE_U16, "\xFF\xFF", 65535},
        {TYPE_S16, "\x7F\xFF", 32767},
        {TYPE_S16, "\x80\x00", -32768},
        {TYPE_S16, "\xFF\xFF", -1},
        {TYPE_U32, "\xFF\xFF\xFF\xFF", UINT32_MAX},
        {TYPE_S32, "\x80\x00\x00\x00", INT32_MIN},
        {TYPE_S32, "\x7F\xFF\xFF\xFF", INT32_MAX},
        {TYPE_S64, "\x80\x00\x00\x00\x00\x00\x00\x00", INT64_MIN},
        {TYPE_S64, "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", INT64_MAX},
        {TYPE_S64, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", -1},
        {TYPE_U64, "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", INT64_MAX},
        {TYPE_U64, "\x00\x20\x00\x00\x00\x00\x00\x01", INT64_C(9007199254740993)}, /* no double could hold it */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct point point = point_of(cases[i].type, ORDER_ABCD, decode_registers(cases[i].type));
        assert_integer(decode_at_0(&point, cases[i].wire), cases[i].expected);
    }
    struct point point = point_of(TYPE_U64, ORDER_ABCD, 4);
    struct reading reading = decode_at_0(&point, "\x80\x00\x00\x00\x00\x00\x00\x00");
    assert_int_equal(reading.quality, QUALITY_GOOD);
    assert_int_equal(reading.value.kind, VALUE_UNSIGNED);
    assert_true(reading.value.whole == UINT64_C(0x8000000000000000));
    point.bit_field = true; /* a field of all 64 bits */
    point.bit_count = 64;
    assert_int_equal(decode_at_0(&point, "\x80\x00\x00\x00\x00\x00\x00\x00").value.kind, VALUE_UNSIGNED);
}

static void scale_and_offset(void **state) {
    (void)state;
    struct point point = point_of(TYPE_S16, ORDER_ABCD, 1);
    point.scale = 0.1;
    assert_number(decode_at_0(&point, "\xFF\x9B"), -10.1); /* -101: the double nearest to -10.1 */
    assert_number(decode_at_0(&point, "\x08\xFE"), 230.2);
    point.offset = -40;
    assert_number(decode_at_0(&point, "\x00\xEA"), -16.6);
    point.scale = 100;
    point.offset = 0.5;
    assert_number(decode_at_0(&point, "\x00\x03"), 300.5);
    point.scale = 1;
    point.offset = 0;
    assert_integer(decode_at_0(&point, "\x00\x03"), 3); /* stays whole */
    point.scale = -0.1;
    struct reading zero = decode_at_0(&point, "\x00\x00");
    assert_false(signbit(zero.value.number));
    struct point kilowatt = point_of(TYPE_F32, ORDER_ABCD, 2);
    kilowatt.scale = 1000;
    assert_number(decode_at_0(&kilowatt, "\x3F\x00\x00\x00"), 500);
}

/* Every step of a scaled 16-bit register gives the decimal number a person would write. */
static void decimal_scales_are_exact(void **state) {
    (void)state;
    static const double steps[] = {10, 100, 1000};
    static const double scales[] = {0.1, 0.01, 0.001};
    for (size_t s = 0; s < ARRAY_COUNT(scales); s++)
        for (unsigned raw = 0; raw < 0x10000; raw += 7) {
            struct point point = point_of(TYPE_U16, ORDER_ABCD, 1);
            point.scale = scales[s];
            char wire[2] = {(char)(raw >> 8), (char)raw};
            assert_number(decode_at_0(&point, wire), raw / steps[s]);
        }
}

static void error_values_are_compared_raw_and_whole(void **state) {
    (void)state;
    struct point point = point_of(TYPE_S16, ORDER_ABCD, 1);
    point.scale = 0.1;
    point.error_values_count = 3;
    point.error_values[0] = 0x7FFF;
    point.error_values[1] = 0x8000;
    point.error_values[2] = 0xFFFF;
    assert_rejected(decode_at_0(&point, "\x7F\xFF"), REASON_ERROR_VALUE);
    assert_rejected(decode_at_0(&point, "\x80\x00"), REASON_ERROR_VALUE);
    assert_rejected(decode_at_0(&point, "\xFF\xFF"), REASON_ERROR_VALUE); /* -1 as read, before sign and scale */
    assert_number(decode_at_0(&point, "\x7F\xFE"), 3276.6);
    point.order = ORDER_BADC;
    assert_rejected(decode_at_0(&point, "\xFF\x7F"), REASON_ERROR_VALUE);
    struct point wide = point_of(TYPE_U32, ORDER_CDAB, 2);
    wide.error_values_count = 1;
    wide.error_values[0] = 0xFFFF;
    assert_rejected(decode_at_0(&wide, "\xFF\xFF\x00\x00"), REASON_ERROR_VALUE);
    assert_integer(decode_at_0(&wide, "\xFF\xFF\xFF\xFF"), UINT32_MAX); /* only the whole width counts */
    struct point field = point_of(TYPE_U16, ORDER_ABCD, 1);
    field.bit_field = true;
    field.bit_count = 4;
    field.error_values_count = 1;
    field.error_values[0] = 0x000F;
    assert_integer(decode_at_0(&field, "\x00\x1F"), 15); /* before the field is taken out */
    assert_rejected(decode_at_0(&field, "\x00\x0F"), REASON_ERROR_VALUE);
}

static void floats_that_are_no_numbers(void **state) {
    (void)state;
    static const char *const narrow[] = {"\x7F\xC0\x00\x00", "\xFF\xC0\x00\x01", "\x7F\x80\x00\x00", "\xFF\x80\x00\x00", "\x7F\x80\x00\x01"};
    static const char *const wide[] = {"\x7F\xF8\x00\x00\x00\x00\x00\x00", "\x7F\xF0\x00\x00\x00\x00\x00\x00", "\xFF\xF0\x00\x00\x00\x00\x00\x00"};
    struct point single = point_of(TYPE_F32, ORDER_ABCD, 2), twice = point_of(TYPE_F64, ORDER_ABCD, 4);
    for (size_t i = 0; i < ARRAY_COUNT(narrow); i++)
        assert_rejected(decode_at_0(&single, narrow[i]), REASON_ERROR_VALUE);
    for (size_t i = 0; i < ARRAY_COUNT(wide); i++)
        assert_rejected(decode_at_0(&twice, wide[i]), REASON_ERROR_VALUE);
    assert_number(decode_at_0(&single, "\x00\x00\x00\x01"), 1.4013e-45);
    assert_number(decode_at_0(&single, "\x80\x00\x00\x00"), 0);
    twice.scale = 1e10;
    assert_rejected(decode_at_0(&twice, "\x7F\xEF\xFF\xFF\xFF\xFF\xFF\xFF"), REASON_ERROR_VALUE); /* overflows when scaled */
}

static void plausible_range_is_inclusive(void **state) {
    (void)state;
    struct point point = point_of(TYPE_S16, ORDER_ABCD, 1);
    point.has_range = true;
    point.range_min = -40;
    point.range_max = 80;
    assert_integer(decode_at_0(&point, "\x00\x50"), 80);
    assert_rejected(decode_at_0(&point, "\x00\x51"), REASON_OUT_OF_RANGE);
    assert_integer(decode_at_0(&point, "\xFF\xD8"), -40);
    assert_rejected(decode_at_0(&point, "\xFF\xD7"), REASON_OUT_OF_RANGE);
    point.scale = 0.1;
    assert_number(decode_at_0(&point, "\x03\x20"), 80);
    assert_rejected(decode_at_0(&point, "\x03\x21"), REASON_OUT_OF_RANGE);
    struct point current = point_of(TYPE_F32, ORDER_ABCD, 2);
    current.has_range = true;
    current.range_max = 100;
    assert_rejected(decode_at_0(&current, "\x42\xC8\x00\x01"), REASON_OUT_OF_RANGE);
    assert_rejected(decode_at_0(&current, "\x7F\xC0\x00\x00"), REASON_ERROR_VALUE); /* NaN is an error value, not a range */
}

static void bit_fields(void **state) {
    (void)state;
    struct point point = point_of(TYPE_U16, ORDER_ABCD, 1);
    point.bit_field = true;
    static const struct {
        uint8_t first, count;
        int64_t expected;
    } cases[] = {{0, 1, 1}, {1, 1, 0}, {15, 1, 1}, {12, 4, 0xA}, {4, 8, 0xBC}, {0, 16, 0xABCD}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        point.bit_first = cases[i].first;
        point.bit_count = cases[i].count;
        assert_integer(decode_at_0(&point, "\xAB\xCD"), cases[i].expected);
    }
    point.type = TYPE_S16; /* a field has no sign */
    assert_integer(decode_at_0(&point, "\xFF\xFF"), 0xFFFF);
    point.type = TYPE_BCD;
    point.bit_first = 8;
    point.bit_count = 8;
    assert_integer(decode_at_0(&point, "\x59\xFF"), 59);
    struct point flag = point_of(TYPE_BIT, ORDER_ABCD, 1);
    assert_integer(decode_at_0(&flag, "\x00\x02"), 0); /* bit 0 unless a field says another */
    flag.bit_field = true;
    flag.bit_first = 1;
    flag.bit_count = 1;
    assert_integer(decode_at_0(&flag, "\x00\x02"), 1);
}

static void bcd_and_text(void **state) {
    (void)state;
    struct point bcd = point_of(TYPE_BCD, ORDER_ABCD, 4);
    assert_integer(decode_at_0(&bcd, "\x99\x99\x99\x99\x99\x99\x99\x99"), INT64_C(9999999999999999));
    assert_rejected(decode_at_0(&bcd, "\x00\x00\x00\x00\x00\x00\x00\x0A"), REASON_MALFORMED);
    assert_rejected(decode_at_0(&bcd, "\xF0\x00\x00\x00\x00\x00\x00\x00"), REASON_MALFORMED);
    struct point text = point_of(TYPE_STRING, ORDER_ABCD, 4);
    assert_string_equal(decode_at_0(&text, "AB\0DEFGH").value.text, "AB");
    assert_string_equal(decode_at_0(&text, "ABC     ").value.text, "ABC");
    assert_string_equal(decode_at_0(&text, "\0\0\0\0\0\0\0").value.text, "");
    assert_string_equal(decode_at_0(&text, "\xE7\x83\x9F\xE7\x81\xAB\0").value.text, "\xE7\x83\x9F\xE7\x81\xAB");
    assert_rejected(decode_at_0(&text, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), REASON_MALFORMED);
    assert_rejected(decode_at_0(&text, "AB\x07\0\0\0\0"), REASON_MALFORMED);
    assert_rejected(decode_at_0(&text, "ABCDEFG\xE7"), REASON_MALFORMED); /* a cut character */
}

static void points_inside_a_longer_reply(void **state) {
    (void)state;
    /* PZEM-004T: 225.7 V, 0.108 A, 24.4 W, 38 Wh, 50.0 Hz, power factor 1.00; as published */
    static const uint8_t pzem[] = {0x08, 0xD1, 0x00, 0x6C, 0x00, 0x00, 0x00, 0xF4, 0x00, 0x00,
                                   0x00, 0x26, 0x00, 0x00, 0x01, 0xF4, 0x00, 0x64, 0x00, 0x00};
    static const struct {
        uint16_t address;
        enum point_type type;
        double scale, expected;
    } cases[] = {{0, TYPE_U16, 0.1, 225.7}, {1, TYPE_U32, 0.001, 0.108}, {3, TYPE_U32, 0.1, 24.4},
                 {5, TYPE_U32, 0.1, 3.8},   {7, TYPE_U16, 0.1, 50},      {8, TYPE_U16, 0.01, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct point point = point_of(cases[i].type, ORDER_CDAB, decode_registers(cases[i].type));
        struct reading reading;
        point.address = (uint16_t)(0xFFF0 + cases[i].address); /* up to the last address there is */
        point.scale = cases[i].scale;
        decode_point(&point, pzem, sizeof(pzem), 0xFFF0, 10, &reading);
        assert_number(reading, cases[i].expected);
    }
    static const uint8_t bits[] = {0xCD, 0x6B, 0x05}; /* coils 20 to 38, the example of the protocol's section 6.1 */
    static const char expected[] = "1011001111010110101";
    for (uint16_t i = 0; i < 19; i++) {
        struct point point = point_of(TYPE_BIT, ORDER_ABCD, 1);
        struct reading reading;
        point.read = i % 2 ? READ_COIL : READ_DISCRETE;
        point.address = (uint16_t)(19 + i);
        decode_point(&point, bits, sizeof(bits), 19, 19, &reading);
        assert_integer(reading, expected[i] - '0');
    }
}

static void what_cannot_be_encoded(void **state) {
    (void)state;
    static const struct {
        enum point_type type;
        double scale;
        struct value value;
    } cases[] = {
        {TYPE_U16, 1, {.kind = VALUE_INTEGER, .integer = 65536}},
        {TYPE_U16, 1, {.kind = VALUE_INTEGER, .integer = -1}},
        {TYPE_S16, 1, {.kind = VALUE_INTEGER, .integer = 32768}},
        {TYPE_S16, 1, {.kind = VALUE_INTEGER, .integer = -32769}},
        {TYPE_S16, 0.1, {.kind = VALUE_NUMBER, .number = 3276.8}},
        {TYPE_S64, 1, {.kind = VALUE_UNSIGNED, .whole = UINT64_MAX}},
        {TYPE_U64, 1, {.kind = VALUE_NUMBER, .number = 18446744073709551616.0}},
        {TYPE_U16, 1, {.kind = VALUE_NUMBER, .number = NAN}},
        {TYPE_F32, 1, {.kind = VALUE_NUMBER, .number = 1e39}},
        {TYPE_F32, 1, {.kind = VALUE_NUMBER, .number = 0x1.ffffffp127}}, /* half way to what would follow the largest */
        {TYPE_F64, 1, {.kind = VALUE_NUMBER, .number = INFINITY}},
        {TYPE_U16, 1, {.kind = VALUE_NONE}},
        {TYPE_U16, 1, {.kind = VALUE_TEXT, .text = "5"}},
        {TYPE_STRING, 1, {.kind = VALUE_TEXT, .text = "ABCDE"}},
        {TYPE_STRING, 1, {.kind = VALUE_INTEGER, .integer = 5}},
        {TYPE_BCD, 1, {.kind = VALUE_INTEGER, .integer = 100000000}},
        {TYPE_BCD, 1, {.kind = VALUE_INTEGER, .integer = -1}},
        {TYPE_BIT, 1, {.kind = VALUE_INTEGER, .integer = 2}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint8_t registers = decode_registers(cases[i].type);
        struct point point = point_of(cases[i].type, ORDER_ABCD, registers ? registers : 2);
        uint16_t wire[16];
        point.scale = cases[i].scale;
        assert_int_equal(decode_encode(&point, &cases[i].value, wire), ERR_RANGE);
    }
}

static struct point random_point(struct prng *prng) {
    static const double scales[] = {1, 1, 0.1, 0.01, 10, 0.5};
    enum point_type type = prng_below(prng, TYPE_BCD + 1);
    uint8_t registers = decode_registers(type);
    struct point point = point_of(type, prng_below(prng, 4), registers ? registers : (uint8_t)(1 + prng_below(prng, 4)));
    point.scale = scales[prng_below(prng, ARRAY_COUNT(scales))];
    if (point.scale != 1)
        point.offset = (double)prng_below(prng, 3) * 100 - 100;
    if (type != TYPE_STRING && type != TYPE_BCD && prng_below(prng, 4) == 0) {
        point.bit_field = true;
        point.bit_first = (uint8_t)prng_below(prng, 16u * point.registers);
        point.bit_count = (uint8_t)(1 + prng_below(prng, 16u * point.registers - point.bit_first));
    }
    return point;
}

/* What a device says, said again, is the same value: for whole numbers to the last bit, for scaled ones as far as a double
 * carries (a 64-bit register under a scale does not fit in one). */
static void a_value_survives_encoding_and_decoding(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 2026);
    unsigned compared = 0;
    for (int round = 0; round < 200000; round++) {
        struct point point = random_point(&prng);
        uint8_t wire[8], again[8];
        uint16_t registers[16];
        struct reading first, second;
        for (size_t i = 0; i < sizeof(wire); i++)
            wire[i] = (uint8_t)(point.type == TYPE_BCD      ? prng_below(&prng, 10) | prng_below(&prng, 10) << 4
                                : point.type == TYPE_STRING ? 'a' + prng_below(&prng, 26)
                                                            : prng_next(&prng));
        decode_point(&point, wire, 2 * (size_t)point.registers, 0, point.registers, &first);
        if (first.quality != QUALITY_GOOD)
            continue; /* NaN of a random float */
        bool whole = point.bit_field || (point.type != TYPE_F32 && point.type != TYPE_F64);
        if (whole && point.registers == 4 && point.scale != 1)
            continue;
        assert_int_equal(decode_encode(&point, &first.value, registers), ERR_OK);
        for (size_t i = 0; i < point.registers; i++) {
            again[2 * i] = (uint8_t)(registers[i] >> 8);
            again[2 * i + 1] = (uint8_t)registers[i];
        }
        decode_point(&point, again, 2 * (size_t)point.registers, 0, point.registers, &second);
        assert_int_equal(second.quality, QUALITY_GOOD);
        if (whole || point.scale == 1)
            assert_true(value_equal(&first.value, &second.value));
        else
            assert_true(fabs(first.value.number - second.value.number) <= 1e-5 * (fabs(first.value.number) + 200));
        compared++;
    }
    assert_true(compared > 150000);
}

static void values_as_numbers_and_compared(void **state) {
    (void)state;
    struct value none = {.kind = VALUE_NONE}, five = {.kind = VALUE_INTEGER, .integer = 5}, half = {.kind = VALUE_NUMBER, .number = 0.5};
    struct value big = {.kind = VALUE_UNSIGNED, .whole = UINT64_MAX}, text = {.kind = VALUE_TEXT, .text = "5"};
    double number;
    assert_true(value_number(&five, &number) && number == 5);
    assert_true(value_number(&half, &number) && number == 0.5);
    assert_true(value_number(&big, &number) && number == 18446744073709551616.0);
    assert_false(value_number(&none, &number));
    assert_false(value_number(&text, &number));
    const struct value *all[] = {&none, &five, &half, &big, &text};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        for (size_t j = 0; j < ARRAY_COUNT(all); j++)
            assert_int_equal(value_equal(all[i], all[j]), i == j);
    struct value six = {.kind = VALUE_INTEGER, .integer = 6}, other = {.kind = VALUE_TEXT, .text = "55"};
    assert_false(value_equal(&five, &six));
    assert_false(value_equal(&text, &other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_in_every_order),
        cmocka_unit_test(edges_of_whole_numbers),
        cmocka_unit_test(scale_and_offset),
        cmocka_unit_test(decimal_scales_are_exact),
        cmocka_unit_test(error_values_are_compared_raw_and_whole),
        cmocka_unit_test(floats_that_are_no_numbers),
        cmocka_unit_test(plausible_range_is_inclusive),
        cmocka_unit_test(bit_fields),
        cmocka_unit_test(bcd_and_text),
        cmocka_unit_test(points_inside_a_longer_reply),
        cmocka_unit_test(what_cannot_be_encoded),
        cmocka_unit_test(a_value_survives_encoding_and_decoding),
        cmocka_unit_test(values_as_numbers_and_compared),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
