/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign traffic, whole, in pieces and damaged, as one line an exchange. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/commission/sniffer.h"

static struct sniffer sniffer;
static char told[4096];
static const struct line_timing timing = {9600, 10};

/* What the events say, one line each. */
static void tell(void) {
    struct sniffer_event event;
    while (sniffer_take(&sniffer, &event)) {
        char request_bytes[256], answer_bytes[1024];
        struct text request, answer;
        size_t length = strlen(told);
        text_init(&request, request_bytes, sizeof(request_bytes));
        text_init(&answer, answer_bytes, sizeof(answer_bytes));
        sniffer_add_request(&event, &request);
        sniffer_add_answer(&event, 40, &answer);
        assert_false(request.full || answer.full);
        snprintf(told + length, sizeof(told) - length, "%u %s: %s\n", event.unit_id, request_bytes, answer_bytes);
    }
}

static void begin(void) {
    sniffer_init(&sniffer, &timing);
    told[0] = '\0';
}

static void hear(const char *hex, int64_t now_us) {
    uint8_t bytes[512];
    size_t size = 0;
    for (unsigned value; sscanf(hex, " %2x", &value) == 1; hex += strspn(hex, " "), hex += 2)
        bytes[size++] = (uint8_t)value;
    sniffer_feed(&sniffer, bytes, size, now_us);
    tell();
}

static void quiet(int64_t now_us) {
    sniffer_silence(&sniffer, now_us);
    tell();
}

static void requests_and_answers_are_paired(void **state) {
    (void)state;
    begin();
    hear("01 03 00 00 00 02 C4 0B", 100000);
    hear("01 03 04 02 92 FF 9B 5A 3D", 120000);
    assert_string_equal(told, "1 read holding 0x0000 x2: 0292 FF9B\n");
    begin();
    hear("01 03 00 4A 00 0C 64 19", 100000);
    hear("01 83 02 C0 F1", 110000);
    hear("01 05 00 01 00 00 9C 0A 01 05 00 01 00 00 9C 0A", 200000); /* in one lump */
    assert_string_equal(told, "1 read holding 0x004A x12: exception 2: illegal data address\n1 write coil 0x0001 = 0000: done\n");
}

static void times_are_measured(void **state) {
    (void)state;
    struct sniffer_event event;
    uint8_t request[] = {1, 3, 0, 0, 0, 2, 0xC4, 0x0B}, answer[] = {1, 3, 4, 2, 0x92, 0xFF, 0x9B, 0x5A, 0x3D};
    begin();
    sniffer_feed(&sniffer, request, sizeof(request), 1000000);
    sniffer_feed(&sniffer, answer, sizeof(answer), 1015375); /* 9 characters are 9375 us */
    assert_true(sniffer_take(&sniffer, &event));
    assert_int_equal(event.turnaround_us, 6000);
    assert_int_equal(event.since_us, -1);
    sniffer_feed(&sniffer, request, sizeof(request), 1100000);
    sniffer_feed(&sniffer, answer, sizeof(answer), 1110000);
    assert_true(sniffer_take(&sniffer, &event));
    assert_int_equal(event.since_us, 1100000 - 8334 - 1015375);
    assert_false(sniffer_take(&sniffer, &event));
}

static void silence_and_damage_are_told(void **state) {
    (void)state;
    begin();
    hear("02 03 00 00 00 02 C4 38", 100000);
    hear("01 03 00 00 00 02 C4 0B", 300000);
    assert_string_equal(told, "2 read holding 0x0000 x2: no answer\n");
    told[0] = '\0';
    hear("01 03 04 02 92 FF 9A 5A 3D", 320000); /* a bit is wrong */
    quiet(400000);
    assert_string_equal(told, "1 read holding 0x0000 x2: damaged: 01 03 04 02 92 FF 9A 5A 3D\n");
    told[0] = '\0';
    hear("FF 00 F3", 500000);
    quiet(600000);
    assert_string_equal(told, "0 no frame, 3 bytes: FF 00 F3\n");
    told[0] = '\0';
    hear("01 03 00 00 00 02 C4 0B", 700000);
    quiet(800000);
    assert_string_equal(told, "");
    quiet(4800000);
    assert_string_equal(told, "1 read holding 0x0000 x2: no answer\n");
    assert_int_equal(sniffer.unanswered, 2);
    assert_int_equal(sniffer.damaged, 1);
}

static void noise_before_a_frame_does_not_hide_it(void **state) {
    (void)state;
    begin();
    hear("00 7F 01 03 00 00 00 02 C4 0B", 100000);
    hear("01 03 04 02 92 FF 9B 5A 3D", 120000);
    quiet(200000);
    assert_non_null(strstr(told, "1 read holding 0x0000 x2: 0292 FF9B\n"));
    assert_non_null(strstr(told, "no frame, 2 bytes: 00 7F\n"));
}

static void listening_may_begin_in_the_middle(void **state) {
    (void)state;
    begin();
    hear("01 03 04 02 92 FF 9B 5A 3D", 100000);
    hear("01 83 02 C0 F1", 200000);
    hear("00 05 00 01 00 00 9D DB", 300000);
    assert_string_equal(told, "1 answer to an unheard request: 0292 FF9B\n1 answer to an unheard request: exception 2: illegal data address\n"
                              "0 write coil 0x0001 = 0000: (to all)\n");
}

static void an_unknown_function_is_a_frame_by_its_checksum(void **state) {
    (void)state;
    begin();
    hear("01 42 80 11", 100000);
    assert_string_equal(told, "");
    quiet(150000);
    hear("01 42 80 11", 160000);
    quiet(250000);
    assert_string_equal(told, "1 function 66, 1 bytes: 42\n");
}

/* A day of traffic cut at random places gives the same as cut at its frames. */
static void cuts_do_not_matter(void **state) {
    (void)state;
    static const char *const frames[] = {"01 03 00 00 00 02 C4 0B", "01 03 04 02 92 FF 9B 5A 3D",    "01 03 00 4A 00 0C 64 19",
                                         "01 83 02 C0 F1",          "01 0F 00 00 00 08 01 FF BE D5", "01 0F 00 00 00 08 54 0D"};
    uint8_t all[64];
    size_t size = 0;
    struct prng prng;
    for (size_t i = 0; i < ARRAY_COUNT(frames); i++) {
        const char *hex = frames[i];
        for (unsigned value; sscanf(hex, " %2x", &value) == 1; hex += strspn(hex, " "), hex += 2)
            all[size++] = (uint8_t)value;
    }
    prng_init(&prng, 7);
    for (unsigned round = 0; round < 500; round++) {
        begin();
        for (size_t at = 0; at < size;) {
            size_t piece = 1 + prng_below(&prng, 9);
            if (piece > size - at)
                piece = size - at;
            sniffer_feed(&sniffer, all + at, piece, (int64_t)(at + piece) * 1042);
            tell();
            at += piece;
        }
        assert_string_equal(told, "1 read holding 0x0000 x2: 0292 FF9B\n1 read holding 0x004A x12: exception 2: illegal data address\n"
                                  "1 write coil 0x0000 x8: done\n");
    }
}

static void any_bytes_are_taken(void **state) {
    (void)state;
    struct prng prng;
    uint8_t bytes[200];
    prng_init(&prng, 3);
    begin();
    for (unsigned round = 0; round < 200; round++) {
        size_t size = 1 + prng_below(&prng, sizeof(bytes));
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(prng_below(&prng, 4) ? prng_below(&prng, 6) : prng_next(&prng));
        sniffer_feed(&sniffer, bytes, size, (int64_t)round * 50000);
        tell();
        if (round % 3 == 0)
            sniffer_silence(&sniffer, (int64_t)round * 50000 + 40000);
        told[0] = '\0';
        tell();
        told[0] = '\0';
        assert_true(sniffer.length <= FRAME_SIZE + 9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_answers_are_paired),
        cmocka_unit_test(times_are_measured),
        cmocka_unit_test(silence_and_damage_are_told),
        cmocka_unit_test(noise_before_a_frame_does_not_hide_it),
        cmocka_unit_test(listening_may_begin_in_the_middle),
        cmocka_unit_test(an_unknown_function_is_a_frame_by_its_checksum),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(any_bytes_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
