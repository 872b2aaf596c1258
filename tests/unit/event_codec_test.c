/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of event there and back, whole or not at all, and what a step wanted as a number. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core_site.h"
#include "gateway/core/event_codec.h"

static const struct now moment = {.mono_us = 123456789012, .wall_ms = -5, .wall_trusted = true};

static size_t put(const struct event *event, uint8_t *bytes, size_t size) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, bytes, size);
    event_put(&writer, event);
    assert_false(writer.full);
    return writer.length;
}

/* Reads from a block of exactly that size, so that the sanitizer sees one byte too many. The block is the caller's to free. */
static bool get(const uint8_t *bytes, size_t size, struct event_room *room, struct event *ret_event, uint8_t **ret_block) {
    struct bytes_reader reader;
    *ret_block = malloc(size + 1);
    assert_non_null(*ret_block);
    memcpy(*ret_block, bytes, size);
    *ret_block = realloc(*ret_block, size ? size : 1);
    bytes_reader_init(&reader, *ret_block, size);
    return event_get(&reader, room, ret_event);
}

/* There, back, and there again alike; no shorter piece is an event, nor is a longer one; no changed byte reads past the end. */
static void check_round(const struct event *event, struct event_room *room, struct event *ret_back) {
    static uint8_t bytes[EVENT_CODEC_SIZE], again[EVENT_CODEC_SIZE];
    static struct event_room other;
    uint8_t *block;
    struct event unused;
    size_t size = put(event, bytes, sizeof(bytes) - 1);
    assert_true(get(bytes, size, room, ret_back, &block));
    assert_int_equal(ret_back->kind, event->kind);
    assert_true(ret_back->now.mono_us == event->now.mono_us && ret_back->now.wall_ms == event->now.wall_ms);
    assert_int_equal(ret_back->now.wall_trusted, event->now.wall_trusted);
    assert_int_equal(put(ret_back, again, sizeof(again)), size);
    assert_memory_equal(bytes, again, size);
    free(block);
    for (size_t cut = 0; cut < size; cut += size > 2000 ? 97 : 1) {
        assert_false(get(bytes, cut, &other, &unused, &block));
        free(block);
    }
    bytes[size] = 0;
    assert_false(get(bytes, size + 1, &other, &unused, &block));
    free(block);
    for (size_t i = 0; i < size && i < 400; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1u << bit);
            (void)get(bytes, size, &other, &unused, &block); /* an event or none: what counts is what it does not read */
            free(block);
            bytes[i] ^= (uint8_t)(1u << bit);
        }
}

static void polls_come_back(void **state) {
    (void)state;
    static struct event_room room;
    static struct polled polled;
    struct event event = {.kind = EVENT_POLLED, .now = moment, .polled = &polled}, back;
    polled = (struct polled){.bus = 3, .device = 2047, .status = BUS_CORRUPT, .exception = 11, .device_state = DEVICE_DEAD, .holds = true, .now = moment,
                             .took_us = -1, .timeout_us = 5, .late_us = 7, .older_us = 9, .adapter_ms = 16, .count = POLLED_POINTS_MAX};
    for (unsigned i = 0; i < POLLED_POINTS_MAX; i++)
        polled.readings[i] = (struct reading){.point = (uint16_t)(2 * i), .quality = QUALITY_BAD, .reason = REASON_NO_RESULT, .value = {.kind = VALUE_NONE}};
    polled.readings[1].value = (struct value){.kind = VALUE_NUMBER, .number = -0.0};
    polled.readings[2].value = (struct value){.kind = VALUE_INTEGER, .integer = INT64_MIN};
    polled.readings[3].value = (struct value){.kind = VALUE_UNSIGNED, .whole = UINT64_MAX};
    polled.readings[4].value = (struct value){.kind = VALUE_TEXT, .text = "SDM230 模块"};
    check_round(&event, &room, &back);
    const struct polled *got = back.polled;
    assert_true(got->bus == 3 && got->device == 2047 && got->status == BUS_CORRUPT && got->exception == 11 && got->device_state == DEVICE_DEAD);
    assert_true(got->holds && !got->extra && got->now.mono_us == moment.mono_us && got->took_us == -1 && got->timeout_us == 5 && got->late_us == 7);
    assert_true(got->older_us == 9 && got->adapter_ms == 16 && got->count == POLLED_POINTS_MAX);
    assert_true(got->readings[127].point == 254 && got->readings[127].quality == QUALITY_BAD && got->readings[127].reason == REASON_NO_RESULT);
    assert_true(signbit(got->readings[1].value.number) && got->readings[2].value.integer == INT64_MIN && got->readings[3].value.whole == UINT64_MAX);
    assert_string_equal(got->readings[4].value.text, "SDM230 模块");
}

static void the_rest_of_the_field_and_the_store_come_back(void **state) {
    (void)state;
    static struct event_room room;
    static uint8_t rows[QUERY_ROWS_SIZE];
    struct event back;
    struct written written = {.id = UINT32_MAX, .bus = 1, .device = 2, .point = 255, .ok = true, .status = BUS_TIMEOUT, .exception = 4, .now = moment};
    check_round(&(struct event){.kind = EVENT_WRITTEN, .now = moment, .written = &written}, &room, &back);
    assert_true(back.written->id == UINT32_MAX && back.written->point == 255 && back.written->ok && back.written->status == BUS_TIMEOUT);
    struct event stored = {.kind = EVENT_STORED, .now = moment, .stored = {.lane = LANE_READING, .err = ERR_FULL, .last_seq = UINT64_MAX}};
    check_round(&stored, &room, &back);
    assert_true(back.stored.lane == LANE_READING && back.stored.err == ERR_FULL && back.stored.last_seq == UINT64_MAX && !back.stored.evicted.count);
    stored.stored.evicted.count = 3;
    stored.stored.evicted_uplink = 4;
    stored.stored.evicted_lane = LANE_EVENT;
    stored.stored.evicted.from = 5;
    stored.stored.evicted.to = 9;
    check_round(&stored, &room, &back);
    assert_true(back.stored.evicted_uplink == 4 && back.stored.evicted_lane == LANE_EVENT && back.stored.evicted.from == 5 && back.stored.evicted.to == 9);
    memset(rows, 7, sizeof(rows));
    struct event answer = {.kind = EVENT_ROWS, .now = moment};
    answer.rows.uplink = 15;
    answer.rows.lane = LANE_FIRE;
    answer.rows.bytes = rows;
    answer.rows.size = sizeof(rows);
    answer.rows.after_seq = 1;
    answer.rows.through_seq = UINT64_MAX - 1;
    check_round(&answer, &room, &back);
    assert_true(back.rows.uplink == 15 && back.rows.size == sizeof(rows) && back.rows.through_seq == UINT64_MAX - 1);
    answer.rows.err = ERR_IO; /* what a failed query points to is nobody's */
    check_round(&answer, &room, &back);
    assert_true(back.rows.err == ERR_IO && back.rows.size == 0);
    struct disk_status disk = {.full = true, .quarantined = 2, .history_lost = 7, .device_bytes_hour = UINT64_MAX, .device_bytes_reading = 80};
    check_round(&(struct event){.kind = EVENT_DISK, .now = moment, .disk = &disk}, &room, &back);
    assert_true(!back.disk->is_volatile && back.disk->full && back.disk->quarantined == 2 && back.disk->history_lost == 7 && back.disk->device_bytes_hour == UINT64_MAX);
}

static void links_and_plain_ones_come_back(void **state) {
    (void)state;
    static struct event_room room;
    static const enum event_kind plain[] = {EVENT_TICK, EVENT_CLOCK, EVENT_STOP};
    struct event back;
    for (unsigned i = 0; i < ARRAY_COUNT(plain); i++)
        check_round(&(struct event){.kind = plain[i], .now = moment}, &room, &back);
    check_round(&(struct event){.kind = EVENT_LINK_UP, .now = moment, .link_up = {.uplink = 2, .receive_max = 65535, .version = 5}}, &room, &back);
    assert_true(back.link_up.uplink == 2 && back.link_up.receive_max == 65535 && back.link_up.version == 5);
    struct event down = {.kind = EVENT_LINK_DOWN, .now = moment, .link_down = {.uplink = 1, .reason = LINK_CERTIFICATE, .code = -3, .text = "self-signed"}};
    check_round(&down, &room, &back);
    assert_true(back.link_down.reason == LINK_CERTIFICATE && back.link_down.code == -3);
    assert_string_equal(back.link_down.text, "self-signed");
    struct event acked = {.kind = EVENT_ACKED, .now = moment, .acked = {.uplink = 1, .slot = WINDOW_MAX - 1, .result = ACK_LOST, .code = INT32_MIN, .at_us = 77}};
    check_round(&acked, &room, &back);
    assert_true(back.acked.slot == WINDOW_MAX - 1 && back.acked.result == ACK_LOST && back.acked.code == INT32_MIN && back.acked.at_us == 77);
    check_round(&(struct event){.kind = EVENT_FLOOD, .now = moment, .flood = {.uplink = 4, .dropped = UINT64_MAX}}, &room, &back);
    assert_true(back.flood.uplink == 4 && back.flood.dropped == UINT64_MAX);
}

static void commands_come_back(void **state) {
    (void)state;
    static struct event_room room;
    struct event back;
    struct command command = {.verb = COMMAND_MAINTENANCE, .channel = CHANNEL_SOCKET, .uplink = 3, .socket_id = 9, .peer = "socket uid 0", .authorised = true,
                              .id = "c-1", .by = "王师傅", .issued_ms = 1, .expires_ms = 2, .fields = FIELD_DEVICE | FIELD_STOP, .device = "fume-1", .alarm = "a",
                              .point = "p", .place = "kitchen", .to = "t", .company = "c", .type = "filter", .problem = "gw-0123456789abcdef-7", .what = "replaced",
                              .reason = "r", .value_text = "on", .value = NAN, .until_ms = 3, .next_due_ms = 4, .minutes = 5, .on = true, .stop = true};
    struct event event = {.kind = EVENT_COMMAND, .now = moment, .command = &command};
    check_round(&event, &room, &back);
    const struct command *got = back.command;
    assert_true(got->verb == COMMAND_MAINTENANCE && got->channel == CHANNEL_SOCKET && got->socket_id == 9 && got->authorised && !got->retained);
    assert_true(got->on && !got->inhibit && got->stop && got->fields == command.fields && isnan(got->value) && got->minutes == 5 && got->next_due_ms == 4);
    for (unsigned i = 0; i < command_texts_count; i++)
        assert_string_equal((const char *)got + command_texts[i].offset, (const char *)&command + command_texts[i].offset);
    assert_string_equal(got->by, "王师傅");
    assert_string_equal(got->value_text, "on");
    struct command refused = {.channel = CHANNEL_MQTT, .uplink = 15, .refusal = "the command is no JSON", .retained = true};
    check_round(&(struct event){.kind = EVENT_COMMAND, .now = moment, .command = &refused}, &room, &back);
    assert_true(back.command->verb == 0 && back.command->retained);
    assert_string_equal(back.command->refusal, refused.refusal);
}

static void what_the_site_does_not_have_does_not_fit(void **state) {
    (void)state;
    struct site *site = calloc(1, sizeof(*site));
    assert_non_null(site);
    site_init(site);
    const struct config *config = &site->config;
    struct polled polled = {.device = 3, .count = 1, .readings = {{.point = SITE_POINTS - 1}}};
    struct event event = {.kind = EVENT_POLLED, .polled = &polled};
    assert_true(event_fits(config, &event));
    polled.readings[0].point = SITE_POINTS;
    assert_false(event_fits(config, &event));
    polled.count = 0;
    polled.device = 4;
    assert_false(event_fits(config, &event));
    polled.device = 0;
    polled.bus = 1;
    assert_false(event_fits(config, &event));
    struct written written = {.point = SITE_POINTS};
    assert_false(event_fits(config, &(struct event){.kind = EVENT_WRITTEN, .written = &written}));
    assert_true(event_fits(config, &(struct event){.kind = EVENT_ACKED}));
    assert_false(event_fits(config, &(struct event){.kind = EVENT_ACKED, .acked = {.uplink = 1}}));
    assert_false(event_fits(config, &(struct event){.kind = EVENT_LINK_UP}));
    struct command command = {.channel = CHANNEL_MQTT, .uplink = 1};
    assert_false(event_fits(config, &(struct event){.kind = EVENT_COMMAND, .command = &command}));
    free(site);
}

static void a_start_comes_back(void **state) {
    (void)state;
    struct site *site = calloc(1, sizeof(*site));
    assert_non_null(site);
    site_init(site);
    struct store_image image = site->image;
    uint8_t one[RECORD_SIZE] = {1, 2, 3};
    struct store_record records[] = {{"device-0", "alarm-0", one, sizeof(one)}, {".action", "cut", one, 1}};
    image.records = records;
    image.records_count = 2;
    image.next_seq = 12345;
    image.quarantined = true;
    image.series = site->directory;
    image.cursors[0][LANE_EVENT] = (struct cursor){.low = 7, .ranges_count = 2, .ranges = {{9, 9}, {20, 30}}};
    struct event start = {.kind = EVENT_START, .now = moment, .start = {.start = UINT64_MAX, .seed = 3, .image = &image}}, back;
    size_t room = start_size(&site->config, &image), size;
    uint8_t *bytes = malloc(room);
    struct bytes_writer writer;
    struct bytes_reader reader;
    struct arena arena;
    assert_non_null(bytes);
    bytes_writer_init(&writer, bytes, room);
    start_put(&writer, &site->config, &start);
    assert_false(writer.full);
    size = writer.length;
    arena_init(&arena);
    bytes_reader_init(&reader, bytes, size);
    assert_true(start_get(&reader, &site->config, &arena, &back));
    const struct store_image *got = back.start.image;
    assert_true(back.now.mono_us == moment.mono_us && back.start.start == UINT64_MAX && back.start.seed == 3 && got->next_seq == 12345);
    assert_true(got->quarantined && !got->absent && !got->configuration_changed && got->records_count == 2);
    assert_string_equal(got->records[0].owner, "device-0");
    assert_string_equal(got->records[1].name, "cut");
    assert_memory_equal(got->records[0].bytes, one, sizeof(one));
    assert_true(got->cursors[0][LANE_EVENT].low == 7 && got->cursors[0][LANE_EVENT].ranges[1].to == 30);
    assert_int_equal(got->series.count, site->directory.count);
    assert_string_equal(got->series.items[5].point, site->directory.items[5].point);
    assert_memory_equal(got->series.of_point, site->directory.of_point, site->config.points_count * sizeof(uint32_t));
    for (size_t cut = 0; cut < size; cut++) {
        bytes_reader_init(&reader, bytes, cut);
        assert_false(start_get(&reader, &site->config, &arena, &back));
    }
    unsigned read = 0; /* some changes are only other names */
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x81;
        bytes_reader_init(&reader, bytes, size);
        read += start_get(&reader, &site->config, &arena, &back);
        bytes[i] ^= 0x81;
    }
    assert_true(read < size);
    site->config.points_count--; /* another configuration than it was written with */
    bytes_reader_init(&reader, bytes, size);
    assert_false(start_get(&reader, &site->config, &arena, &back));
    arena_done(&arena);
    free(bytes);
    free(site);
}

static void what_was_wanted_is_one_number(void **state) {
    (void)state;
    static struct effects effects;
    struct effect *send = effects_add(&effects, EFFECT_SEND), *write = effects_add(&effects, EFFECT_WRITE);
    send->send.topic = "a/b";
    send->send.payload = "{}";
    send->send.size = 2;
    uint64_t before = effects_hash(&effects);
    assert_true(before == effects_hash(&effects));
    send->send.retain = true;
    assert_true(before != effects_hash(&effects));
    send->send.retain = false;
    send->send.payload = "[]";
    assert_true(before != effects_hash(&effects));
    send->send.payload = "{}";
    write->write.command.value = 1;
    assert_true(before != effects_hash(&effects));
    write->write.command.value = 0;
    assert_true(before == effects_hash(&effects));
    assert_int_equal(effect_decision(send), 0);
    uint32_t decision = effect_decision(write);
    assert_int_not_equal(decision, 0);
    write->write.command.id = 9; /* how it is counted is no decision */
    assert_int_equal(effect_decision(write), decision);
    write->write.command.device = 1;
    assert_int_not_equal(effect_decision(write), decision);
    assert_int_not_equal(trace_decision(&(struct trace_line){.text = "alarm smoke-1/smoke unacknowledged"}), 0);
    assert_int_equal(trace_decision(&(struct trace_line){.text = "uplink city up"}), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polls_come_back),
        cmocka_unit_test(the_rest_of_the_field_and_the_store_come_back),
        cmocka_unit_test(links_and_plain_ones_come_back),
        cmocka_unit_test(commands_come_back),
        cmocka_unit_test(what_the_site_does_not_have_does_not_fit),
        cmocka_unit_test(a_start_comes_back),
        cmocka_unit_test(what_was_wanted_is_one_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
