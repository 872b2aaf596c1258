/* SPDX-License-Identifier: Apache-2.0 */
/* The MQTT contract, byte for byte, and each message read back by a parser that is not ours. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/check.h"
#include "core_site.h"
#include "gateway/uplinks/mqtt_json.h"

#define START UINT64_C(0x00000000000000ab)
#define SMOKE "\xE7\x83\x9F\xE9\x9B\xBE" /* two Chinese characters */

static struct site site;
static struct mqtt_json json;
static char topic_bytes[TOPIC_SIZE], payload_bytes[PAYLOAD_SIZE];
static struct text topic, payload;

static int setup(void **state) {
    (void)state;
    site_init(&site);
    json = (struct mqtt_json){.config = &site.config, .series = &site.directory, .topic_prefix = "yanhuo/v1/gw", .version = "0.1.0", .start = START};
    text_init(&topic, topic_bytes, sizeof(topic_bytes));
    text_init(&payload, payload_bytes, sizeof(payload_bytes));
    return 0;
}

static void assert_message(const char *expected_topic, const char *expected) {
    assert_string_equal(topic_bytes, expected_topic);
    assert_string_equal(payload_bytes, expected);
    cJSON *parsed = cJSON_ParseWithOpts(payload_bytes, NULL, true);
    assert_non_null(parsed);
    assert_true(cJSON_IsObject(parsed));
    cJSON_Delete(parsed);
}

static struct entry entry_of(enum entry_kind kind, const struct bytes_writer *body) {
    assert_false(body->full);
    return (struct entry){.lane = kind == ENTRY_READINGS || kind == ENTRY_READINGS_1 ? LANE_READING : LANE_EVENT,
                          .kind = kind,
                          .seq = 17,
                          .start = START,
                          .trusted = true,
                          .at_ms = 1795406400123,
                          .body = body->bytes,
                          .body_size = (uint32_t)body->length};
}

/* ---- readings ---- */

static struct entry readings_entry(int64_t at_ms, const struct packed_reading *readings, unsigned count) {
    static uint8_t bytes[ENTRY_SIZE];
    struct bytes_writer body;
    struct reading_order order;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    reading_order_begin(&order, at_ms);
    for (unsigned i = 0; i < count; i++)
        entry_put_reading(&body, &order, &readings[i]);
    struct entry entry = entry_of(ENTRY_READINGS, &body);
    entry.at_ms = at_ms;
    return entry;
}

static void test_readings(void **state) {
    (void)state;
    const int64_t at_ms = 1795406400123; /* 2026-11-23T04:00:00.123Z */
    const struct packed_reading readings[] = {
        {.series = 4, .at_ms = at_ms, .value = {.kind = VALUE_NUMBER, .number = 1.23}},
        {.series = 5, .at_ms = at_ms + 1000, .value = {.kind = VALUE_INTEGER, .integer = -5}},
        {.series = 6, .at_ms = at_ms, .quality = QUALITY_BAD, .reason = REASON_NO_ANSWER, .value = {.kind = VALUE_NONE}},
        {.series = 7, .at_ms = at_ms, .quality = QUALITY_UNCERTAIN, .reason = REASON_CORRUPT, .value = {.kind = VALUE_TEXT, .text = SMOKE "\n\"\\"}},
        {.series = 99, .at_ms = at_ms, .value = {.kind = VALUE_NUMBER, .number = 9}}, /* a series nobody knows */
    };
    struct entry entry = readings_entry(at_ms, readings, ARRAY_COUNT(readings));
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_message("yanhuo/v1/gw/reading/device-1",
                   "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"readings\":["
                   "{\"t\":\"2026-11-23T12:00:00.123+08:00\",\"point\":\"p0\",\"v\":1.23,\"q\":\"good\"},"
                   "{\"t\":\"2026-11-23T12:00:01.123+08:00\",\"point\":\"p1\",\"v\":-5,\"q\":\"good\"},"
                   "{\"t\":\"2026-11-23T12:00:00.123+08:00\",\"point\":\"p2\",\"v\":null,\"q\":\"bad\",\"why\":\"no answer\"},"
                   "{\"t\":\"2026-11-23T12:00:00.123+08:00\",\"point\":\"p3\",\"v\":\"" SMOKE
                   "\\n\\\"\\\\\",\"q\":\"uncertain\",\"why\":\"corrupt\"}]}");
    setup(NULL);
    assert_true(mqtt_json_entry(&json, &entry, true, &topic, &payload));
    assert_non_null(strstr(payload_bytes, "\"id\":\"gw-00000000000000ab-17\",\"replayed\":true,")); /* the same but for that */
}

static void assert_value(struct value value, const char *expected) {
    char member[96];
    setup(NULL);
    struct entry entry = readings_entry(0, &(struct packed_reading){.at_ms = 5, .value = value}, 1);
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    snprintf(member, sizeof(member), "\"v\":%s,", expected);
    if (!strstr(payload_bytes, member))
        fail_msg("expected %s in %s", member, payload_bytes);
    cJSON *parsed = cJSON_Parse(payload_bytes);
    assert_non_null(parsed);
    cJSON_Delete(parsed);
}

static void test_values(void **state) {
    (void)state;
    const int64_t exact = INT64_C(1) << 53;
    assert_value((struct value){.kind = VALUE_NUMBER, .number = NAN}, "null");
    assert_value((struct value){.kind = VALUE_NUMBER, .number = INFINITY}, "null");
    assert_value((struct value){.kind = VALUE_NUMBER, .number = 0.1}, "0.1");
    assert_value((struct value){.kind = VALUE_NUMBER, .number = 0.1f}, "0.10000000149011612");
    assert_value((struct value){.kind = VALUE_NUMBER, .number = 1e300}, "1e+300");
    assert_value((struct value){.kind = VALUE_INTEGER, .integer = exact}, "9007199254740992");
    assert_value((struct value){.kind = VALUE_INTEGER, .integer = exact + 1}, "\"9007199254740993\"");
    assert_value((struct value){.kind = VALUE_INTEGER, .integer = -exact}, "-9007199254740992");
    assert_value((struct value){.kind = VALUE_INTEGER, .integer = -exact - 1}, "\"-9007199254740993\"");
    assert_value((struct value){.kind = VALUE_INTEGER, .integer = INT64_MIN}, "\"-9223372036854775808\"");
    assert_value((struct value){.kind = VALUE_UNSIGNED, .whole = UINT64_MAX}, "\"18446744073709551615\"");
    assert_value((struct value){.kind = VALUE_TEXT, .text = ""}, "\"\"");
    assert_value((struct value){.kind = VALUE_TEXT, .text = "\x01\x1F\x7F\t/"}, "\"\\u0001\\u001f\\u007f\\t/\"");
    assert_value((struct value){.kind = VALUE_TEXT, .text = "\xC3("}, "\"\xEF\xBF\xBD(\"");
}

/* ---- events ---- */

static struct alarm_event alarm_event(void) {
    return (struct alarm_event){.device = "device-0",
                                .alarm = "smoke",
                                .occurrence_start = START,
                                .occurrence_seq = 16,
                                .class = CLASS_FIRE,
                                .priority = PRIORITY_HIGH,
                                .state = ALARM_UNACKNOWLEDGED,
                                .cause = CAUSE_CONDITION,
                                .condition = "equal",
                                .value = {.kind = VALUE_INTEGER, .integer = 1},
                                .unit = "",
                                .has_limit = true,
                                .limit = 1,
                                .since_ms = 1795406390000,
                                .place = "shed-1",
                                .place_name = SMOKE,
                                .address = "1 \"Lake\" road",
                                .phone = "0573-1",
                                .location = "north",
                                .zh = SMOKE,
                                .en = "smoke",
                                .remedy_en = "call"};
}

#define ALARM_MEMBERS                                                                                                                                \
    "\"occurrence\":\"gw-00000000000000ab-16\",\"device\":\"device-0\",\"alarm\":\"smoke\",\"class\":\"fire\",\"priority\":\"high\","                \
    "\"state\":\"unacknowledged\",\"condition\":\"equal\",\"value\":1,\"unit\":\"\",\"limit\":1,"                                                    \
    "\"since\":\"2026-11-23T11:59:50.000+08:00\",\"at\":\"2026-11-23T12:00:00.123+08:00\","                                                          \
    "\"place\":{\"key\":\"shed-1\",\"name\":\"" SMOKE "\",\"address\":\"1 \\\"Lake\\\" road\",\"phone\":\"0573-1\"},"                                \
    "\"location\":\"north\",\"text\":{\"zh\":\"" SMOKE "\",\"en\":\"smoke\"},\"test\":false,\"by\":null,\"reason\":null,\"until\":null,"                  \
    "\"remedy\":{\"zh\":\"\",\"en\":\"call\"}"

static void test_alarm(void **state) {
    (void)state;
    uint8_t bytes[2048];
    struct bytes_writer body;
    struct alarm_event event = alarm_event();
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_alarm(&body, &event);
    struct entry entry = entry_of(ENTRY_ALARM, &body);
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_message("yanhuo/v1/gw/event",
                   "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"alarm\",\"cause\":\"condition\"," ALARM_MEMBERS
                   ",\"clock_trusted\":true}");
    setup(NULL);
    entry.kind = ENTRY_ROSTER;
    entry.trusted = false;
    assert_true(mqtt_json_entry(&json, &entry, true, &topic, &payload));
    assert_message("yanhuo/v1/gw/event",
                   "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":true,\"kind\":\"roster\",\"cause\":\"condition\"," ALARM_MEMBERS
                   ",\"clock_trusted\":false}");
    setup(NULL);
    assert_true(mqtt_json_alarm(&json, &event, 17, 1795406400123, &topic, &payload));
    assert_message("yanhuo/v1/gw/alarm/device-0/smoke", "{\"id\":\"gw-00000000000000ab-17\"," ALARM_MEMBERS "}");
}

static void test_alarm_that_never_was(void **state) {
    (void)state;
    struct alarm_event event = {
        .device = "device-1", .alarm = "communication", .class = CLASS_FAULT, .condition = "communication", .zh = "z", .en = "e"};
    assert_true(mqtt_json_alarm(&json, &event, 0, 0, &topic, &payload));
    assert_message("yanhuo/v1/gw/alarm/device-1/communication",
                   "{\"id\":null,\"occurrence\":null,\"device\":\"device-1\",\"alarm\":\"communication\",\"class\":\"fault\",\"priority\":\"low\","
                   "\"state\":\"normal\",\"condition\":\"communication\",\"value\":null,\"unit\":\"\",\"limit\":null,\"since\":null,\"at\":null,"
                   "\"place\":null,\"location\":\"\",\"text\":{\"zh\":\"z\",\"en\":\"e\"},\"test\":false,\"by\":null,\"reason\":null,"
                   "\"until\":null,\"remedy\":{\"zh\":\"\",\"en\":\"\"}}");
}

static void test_other_events(void **state) {
    (void)state;
    uint8_t bytes[1024];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_action(&body, &(struct action_event){.action = "cut",
                                                   .device = "relay-1",
                                                   .point = "channel-1",
                                                   .alarm_device = "smoke-1",
                                                   .alarm = "smoke",
                                                   .value = 0,
                                                   .attempt = 3,
                                                   .why = "relay-1: timeout"});
    struct entry entry = entry_of(ENTRY_ACTION, &body);
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_message(
        "yanhuo/v1/gw/event",
        "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"action\",\"at\":\"2026-11-23T12:00:00.123+08:00\",\"action\":\"cut\","
        "\"device\":\"relay-1\",\"point\":\"channel-1\",\"value\":0,\"ok\":false,\"attempt\":3,\"why\":\"relay-1: timeout\","
        "\"alarm_device\":\"smoke-1\",\"alarm\":\"smoke\",\"test\":false,\"by\":null,\"clock_trusted\":true}");
    setup(NULL);
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_gap(&body, &(struct gap_event){.lane = LANE_READING, .from_seq = 1, .to_seq = UINT64_MAX, .count = 7, .why = "full"});
    entry = entry_of(ENTRY_GAP, &body);
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_message(
        "yanhuo/v1/gw/event",
        "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"gap\",\"at\":\"2026-11-23T12:00:00.123+08:00\",\"lane\":\"reading\","
        "\"from\":1,\"to\":18446744073709551615,\"count\":7,\"why\":\"full\",\"clock_trusted\":true}");
    setup(NULL);
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_system(&body, &(struct system_event){.what = "clock", .detail = "trusted", .offset_ms = -86400000});
    entry = entry_of(ENTRY_CLOCK, &body);
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_message(
        "yanhuo/v1/gw/event",
        "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"clock\",\"at\":\"2026-11-23T12:00:00.123+08:00\",\"what\":\"clock\","
        "\"detail\":\"trusted\",\"offset_ms\":-86400000,\"clock_trusted\":true}");
    setup(NULL);
    entry.kind = ENTRY_SYSTEM;
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_message("yanhuo/v1/gw/event",
                   "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"system\",\"at\":\"2026-11-23T12:00:00.123+08:00\","
                   "\"what\":\"clock\",\"detail\":\"trusted\",\"clock_trusted\":true}");
}

/* Stored by another version, or damaged: the id is told, the reader is not held up. */
static void test_unreadable(void **state) {
    (void)state;
    uint8_t bytes[4] = {200};
    struct bytes_writer body = {.bytes = bytes, .size = 4, .length = 1};
    static const int kinds[] = {ENTRY_ALARM,   ENTRY_ACTION,      ENTRY_ROSTER,    ENTRY_GAP,     ENTRY_CLOCK, ENTRY_SYSTEM, ENTRY_COMMAND,
                                ENTRY_PROBLEM, ENTRY_MAINTENANCE, ENTRY_WALK_TEST, ENTRY_CHATTER, ENTRY_FLOOD, ENTRY_REMOVED, ENTRY_CLEARED,
                                0,            99,            255};
    for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
        setup(NULL);
        struct entry entry = entry_of((enum entry_kind)kinds[i], &body);
        assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
        assert_message("yanhuo/v1/gw/event", "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"unreadable\",\"clock_trusted\":true}");
    }
    setup(NULL);
    struct entry entry = entry_of(ENTRY_READINGS, &body);
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_message("yanhuo/v1/gw/reading/unknown", "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"readings\":[]}");
}

/* ---- the gateway itself ---- */

static void test_status(void **state) {
    (void)state;
    struct now now = {.wall_ms = 1795406400123, .wall_trusted = false};
    assert_true(mqtt_json_status(&json, true, &now, 1795406390000, &topic, &payload));
    assert_message("yanhuo/v1/gw/status",
                   "{\"status\":\"online\",\"since\":\"2026-11-23T11:59:50.000+08:00\",\"at\":\"2026-11-23T12:00:00.123+08:00\","
                   "\"version\":\"0.1.0\",\"start\":\"00000000000000ab\",\"clock_trusted\":false,"
                   "\"configuration\":\"0123456789abcdef\",\"profiles\":\"fedcba9876543210\"}");
}

static void test_meta(void **state) {
    (void)state;
    static const struct enumeration_label labels[] = {{-1, "fault"}, {0, "off"}};
    site.config.devices_count = 1;
    site.devices[0].spec.points_count = 3;
    site.points[0][2] = (struct point){.name = "p2", .unit = "h", .derived = true, .type = TYPE_F64, .every_ms = 1000, .class = CLASS_FIRE};
    site.points[0][0].zh = SMOKE;
    site.points[0][0].en = "current";
    site.points[0][0].class = CLASS_ELECTRICAL;
    site.points[0][1].labels = labels;
    site.points[0][1].labels_count = 2;
    site.points[0][1].type = TYPE_BCD;
    site.points[0][1].class = CLASS_MAINTENANCE;
    assert_true(mqtt_json_meta(&json, 0, &topic, &payload));
    assert_message(
        "yanhuo/v1/gw/meta/device-0",
        "{\"device\":\"device-0\",\"profile\":\"\",\"manufacturer\":\"\",\"model\":\"\",\"place\":\"shed-1\",\"location\":\"\",\"bus\":\"line\","
        "\"unit_id\":1,\"configuration\":\"0123456789abcdef\",\"points\":["
        "{\"point\":\"p0\",\"type\":\"u16\",\"unit\":\"A\",\"names\":{\"zh\":\"" SMOKE
        "\",\"en\":\"current\"},\"every_ms\":1000,\"class\":\"electrical\"},"
        "{\"point\":\"p1\",\"type\":\"bcd\",\"unit\":\"A\",\"names\":{\"zh\":null,\"en\":null},\"every_ms\":1000,\"class\":\"maintenance\","
        "\"labels\":{\"-1\":\"fault\",\"0\":\"off\"}},"
        "{\"point\":\"p2\",\"type\":\"derived\",\"unit\":\"h\",\"names\":{\"zh\":null,\"en\":null},\"every_ms\":1000,\"class\":\"fire\"}]}");
}

static void test_health(void **state) {
    (void)state;
    static struct engine_counters counters;
    memset(&counters, 0, sizeof(counters));
    counters.polls = 1;
    counters.poll_late_max_us = 42;
    counters.lost[LANE_READING] = 3;
    counters.disk = (struct disk_status){.is_volatile = true, .quarantined = 2, .history_lost = 9, .device_bytes_hour = 3600};
    counters.uplinks[0].reason = LINK_CREDENTIALS;
    counters.commands.refused = 2;
    counters.commands.dropped = 9000;
    struct now now = {.wall_ms = 1795406400123, .wall_trusted = true};
    assert_true(mqtt_json_health(&json, &counters, &now, &topic, &payload));
    assert_message(
        "yanhuo/v1/gw/health",
        "{\"at\":\"2026-11-23T12:00:00.123+08:00\",\"clock_trusted\":true,\"polls\":1,\"polls_failed\":0,\"poll_late_max_us\":42,\"readings\":0,"
        "\"readings_bad\":0,\"alarms_active\":0,\"alarm_transitions\":0,\"lost\":{\"fire\":0,\"event\":0,\"reading\":3},\"evicted\":{\"fire\":0,"
        "\"event\":0,\"reading\":"
        "0},"
        "\"store_failures\":0,\"commands\":{\"accepted\":0,\"refused\":2,\"dropped\":9000,\"replies_dropped\":0},"
        "\"store\":{\"volatile\":true,\"full\":false,\"quarantined\":2,\"history_lost\":9,\"device_bytes_hour\":3600,\"device_bytes_reading\":0},"
        "\"watch\":{\"loop_late\":0,\"loop_late_max_us\":0},\"uplinks\":{\"uplink-0\":{\"up\":false,\"why\":\"the broker refuses this user name and "
        "password\",\"sent\":0,\"acked\":0,"
        "\"refused\":0,\"resent\":0,\"evicted\":0,\"connects\":0,\"broker\":\"broker.example:1883\"}}}");
}

static void test_replies(void **state) {
    (void)state;
    struct command_reply reply = {.id = "c-1", .verb = COMMAND_RESET, .at_ms = 1795406400123};
    reply.outcome = (struct command_outcome){.ok = true, .event_start = START, .event_seq = 17};
    assert_true(mqtt_json_reply(&json, &reply, &topic, &payload));
    assert_message("yanhuo/v1/gw/reply/c-1", "{\"id\":\"c-1\",\"verb\":\"reset\",\"ok\":true,\"event\":\"gw-00000000000000ab-17\","
                                             "\"at\":\"2026-11-23T12:00:00.123+08:00\"}");
    setup(NULL);
    reply = (struct command_reply){.at_ms = 1795406400123, .outcome = {.why = "no \"such\" command"}};
    mqtt_json_reply_payload(&json, &reply, &payload); /* to a local client, who wrote no id and no command that there is */
    assert_message("", "{\"id\":null,\"verb\":null,\"ok\":false,\"why\":\"no \\\"such\\\" command\",\"at\":\"2026-11-23T12:00:00.123+08:00\"}");
}

static void test_health_of_buses(void **state) {
    (void)state;
    static struct engine_counters counters;
    struct bus_counters bus = {.polls = 10, .extras = 4, .timeouts = 3, .corrupt = 2, .exceptions = 1, .devices_dead = 1, .timeout_max_us = 50000, .adapter_ms = 16};
    memset(&counters, 0, sizeof(counters));
    counters.buses = &bus;
    static int64_t timeouts_us[DEVICES_MAX];
    timeouts_us[0] = 60000;
    counters.device_timeouts_us = timeouts_us;
    struct now now = {.wall_ms = 1795406400123, .wall_trusted = true};
    assert_true(mqtt_json_health(&json, &counters, &now, &topic, &payload));
    assert_non_null(strstr(payload_bytes, ",\"buses\":{\"line\":{\"polls\":10,\"extra_polls\":4,\"timeouts\":3,\"corrupt\":2,\"exceptions\":1,"
                                          "\"disconnected\":0,\"devices_dead\":1,\"timeout_max_us\":50000,\"adapter_latency_ms\":16}},\"timeout_floor_us\":50000,\"timeouts\":{"));
    assert_non_null(strstr(payload_bytes, "\"device-0\":{\"now_us\":60000,\"ceiling_us\":"));
}

/* ---- bounds ---- */

static char longest_name[NAME_SIZE];

static size_t largest_readings(const char *value) {
    static struct packed_reading readings[ENTRY_READINGS_MAX];
    memset(longest_name, 'n', NAME_SIZE - 1);
    for (unsigned i = 0; i < SITE_DEVICES * SITE_POINTS; i++)
        site.series[i] = (struct series){.device = longest_name, .point = longest_name};
    site.config.gateway_id = longest_name;
    for (unsigned i = 0; i < ENTRY_READINGS_MAX; i++) {
        readings[i] = (struct packed_reading){.series = i % 16, .at_ms = 1795406400123, .quality = QUALITY_UNCERTAIN, .reason = REASON_OUT_OF_RANGE};
        readings[i].value.kind = VALUE_TEXT;
        (void)text_copy(readings[i].value.text, sizeof(readings[i].value.text), value);
    }
    struct entry entry = readings_entry(1795406400123, readings, ENTRY_READINGS_MAX);
    entry.seq = UINT64_MAX;
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    cJSON *parsed = cJSON_Parse(payload_bytes);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(parsed, "readings")), ENTRY_READINGS_MAX);
    cJSON_Delete(parsed);
    return payload.length;
}

/* Texts as the decoder gives them: valid UTF-8 without control characters. Each character doubled is the worst. */
static void test_largest_entry_fits(void **state) {
    (void)state;
    size_t size = largest_readings("\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"");
    assert_true(size > 50000 && size < PAYLOAD_SIZE);
}

static void test_what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct now now = {.wall_ms = 1795406400123};
    for (size_t size = 1; size < 200; size++) {
        text_init(&topic, topic_bytes, sizeof(topic_bytes));
        text_init(&payload, payload_bytes, size);
        assert_false(mqtt_json_status(&json, true, &now, 1, &topic, &payload));
        assert_true(strlen(payload_bytes) < size);
    }
    text_init(&topic, topic_bytes, 19);
    text_init(&payload, payload_bytes, sizeof(payload_bytes));
    assert_false(mqtt_json_status(&json, true, &now, 1, &topic, &payload));
}

static void fill(char *field, size_t size) {
    memset(field, '\x01', size - 1); /* six characters of JSON each */
    field[size - 1] = '\0';
}

static void test_largest_alarm_fits(void **state) {
    (void)state;
    struct alarm_event event = alarm_event();
    memset(longest_name, 'n', NAME_SIZE - 1);
    memcpy(event.device, longest_name, NAME_SIZE);
    memcpy(event.alarm, longest_name, NAME_SIZE);
    site.config.gateway_id = longest_name;
    json.topic_prefix = "yanhuo/v1/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
    fill(event.unit, sizeof(event.unit));
    fill(event.place_name, sizeof(event.place_name));
    fill(event.address, sizeof(event.address));
    fill(event.phone, sizeof(event.phone));
    fill(event.location, sizeof(event.location));
    fill(event.zh, sizeof(event.zh));
    fill(event.en, sizeof(event.en));
    fill(event.by, sizeof(event.by));
    fill(event.reason, sizeof(event.reason));
    fill(event.remedy_zh, sizeof(event.remedy_zh));
    fill(event.remedy_en, sizeof(event.remedy_en));
    assert_true(mqtt_json_alarm(&json, &event, UINT64_MAX, 1795406400123, &topic, &payload));
    cJSON *parsed = cJSON_Parse(payload_bytes);
    assert_non_null(parsed);
    cJSON_Delete(parsed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_readings, setup),
        cmocka_unit_test_setup(test_values, setup),
        cmocka_unit_test_setup(test_alarm, setup),
        cmocka_unit_test_setup(test_alarm_that_never_was, setup),
        cmocka_unit_test_setup(test_other_events, setup),
        cmocka_unit_test_setup(test_unreadable, setup),
        cmocka_unit_test_setup(test_status, setup),
        cmocka_unit_test_setup(test_meta, setup),
        cmocka_unit_test_setup(test_health, setup),
        cmocka_unit_test_setup(test_health_of_buses, setup),
        cmocka_unit_test_setup(test_replies, setup),
        cmocka_unit_test_setup(test_largest_entry_fits, setup),
        cmocka_unit_test_setup(test_what_does_not_fit_is_refused, setup),
        cmocka_unit_test_setup(test_largest_alarm_fits, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
