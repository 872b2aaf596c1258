/* SPDX-License-Identifier: Apache-2.0 */
/* Packed bytes: fixed layouts, both ends of every range, and a reader that survives any cut and any noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/prng.h"

static void layout_is_fixed(void **state) {
    (void)state;
    static const uint8_t expected[] = {0x7F, 0x0D, 0x0C, 0x0B, 0xFA, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0xAC, 0x02, 0x01, 0x02, 0x00,
                                       0,    0,    0,    0,    0,    0,    0xF0, 0x3F, 2,    'a',  'b',  0,    9};
    uint8_t bytes[64];
    struct bytes_writer writer;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    bytes_put_u8(&writer, 0x7F);
    bytes_put_u32(&writer, 0xFA0B0C0D);
    bytes_put_u64(&writer, 0x0102030405060708);
    bytes_put_varint(&writer, 300);
    bytes_put_zigzag(&writer, -1);
    bytes_put_zigzag(&writer, 1);
    bytes_put_zigzag(&writer, 0);
    bytes_put_double(&writer, 1.0);
    bytes_put_text(&writer, "ab");
    bytes_put_text(&writer, NULL);
    bytes_put_raw(&writer, "\x09", 1);
    assert_false(writer.full);
    assert_int_equal(writer.length, sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
    struct bytes_reader reader;
    bytes_reader_init(&reader, bytes, writer.length);
    assert_int_equal(bytes_get_u8(&reader), 0x7F);
    assert_true(bytes_get_u32(&reader) == 0xFA0B0C0D && bytes_get_u64(&reader) == 0x0102030405060708);
}

static void round_trips(void **state) {
    (void)state;
    static const int64_t values[] = {0, 1, -1, 63, -64, 64, -65, 127, 128, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        uint8_t bytes[32];
        struct bytes_writer writer;
        struct bytes_reader reader;
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        bytes_put_zigzag(&writer, values[i]);
        bytes_put_varint(&writer, (uint64_t)values[i]);
        bytes_reader_init(&reader, bytes, writer.length);
        assert_true(bytes_get_zigzag(&reader) == values[i]);
        assert_true(bytes_get_varint(&reader) == (uint64_t)values[i]);
        assert_false(reader.failed);
        assert_int_equal(reader.position, writer.length);
        assert_int_equal(bytes_get_u8(&reader), 0);
        assert_true(reader.failed);
    }
}

static void failures_stick(void **state) {
    (void)state;
    uint8_t bytes[4] = {9, 9, 9, 9};
    struct bytes_writer writer;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    bytes_put_u8(&writer, 1);
    bytes_put_text(&writer, "four");
    assert_true(writer.full);
    assert_int_equal(writer.length, 1);
    bytes_put_u8(&writer, 2); /* would fit, but something before it is missing */
    assert_int_equal(writer.length, 1);

    struct bytes_reader reader;
    bytes_reader_init(&reader, bytes, 1);
    assert_true(bytes_get_u64(&reader) == 0);
    assert_true(reader.failed);
    assert_true(bytes_get_u32(&reader) == 0);
    assert_int_equal(bytes_get_u8(&reader), 0);
    assert_null(bytes_get_raw(&reader, 0));
}

static void malformed_varints(void **state) {
    (void)state;
    static const uint8_t too_long[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02};
    static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    struct bytes_reader reader;
    bytes_reader_init(&reader, too_long, sizeof(too_long));
    assert_true(bytes_get_varint(&reader) == 0);
    assert_true(reader.failed);
    bytes_reader_init(&reader, endless, sizeof(endless));
    assert_true(bytes_get_varint(&reader) == 0);
    assert_true(reader.failed);
}

static void text_is_cut_between_characters(void **state) {
    (void)state;
    uint8_t bytes[32];
    struct bytes_writer writer;
    struct bytes_reader reader;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    bytes_put_text(&writer, "a\xE7\x83\x9F\xE7\x81\xAB"); /* a烟火 */
    bytes_put_u8(&writer, 5);
    char target[8];
    bytes_reader_init(&reader, bytes, writer.length);
    bytes_get_text(&reader, target, sizeof(target));
    assert_string_equal(target, "a\xE7\x83\x9F\xE7\x81\xAB");
    bytes_reader_init(&reader, bytes, writer.length);
    bytes_get_text(&reader, target, 7);
    assert_string_equal(target, "a\xE7\x83\x9F");
    assert_int_equal(bytes_get_u8(&reader), 5); /* the rest of the text was passed over */
    bytes_reader_init(&reader, bytes, 4);
    bytes_get_text(&reader, target, sizeof(target));
    assert_string_equal(target, "");
    assert_true(reader.failed);
}

static void noise_is_survived(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[24];
        char target[8];
        size_t size = prng_below(&prng, sizeof(bytes) + 1);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)prng_next(&prng);
        struct bytes_reader reader;
        bytes_reader_init(&reader, bytes, size);
        for (unsigned i = 0; i < 12 && !reader.failed; i++) {
            switch (prng_below(&prng, 4)) {
            case 0:
                bytes_get_varint(&reader);
                break;
            case 1:
                bytes_get_text(&reader, target, sizeof(target));
                assert_true(strlen(target) < sizeof(target));
                break;
            case 2:
                bytes_get_raw(&reader, (size_t)prng_next(&prng));
                break;
            default:
                bytes_get_double(&reader);
            }
            assert_true(reader.position <= size);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_fixed),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(failures_stick),
        cmocka_unit_test(malformed_varints),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(noise_is_survived),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
