/* SPDX-License-Identifier: Apache-2.0 */
/* Events about what people do, about bursts, and about alarms that were removed, as a subscriber reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/check.h"
#include "core_site.h"
#include "gateway/core/problem.h"
#include "gateway/uplinks/mqtt_json.h"

#define START UINT64_C(0xAB)
#define AT_MS INT64_C(1795406400123)
#define HEAD(kind) "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"" kind "\",\"at\":\"2026-11-23T12:00:00.123+08:00\","
#define TAIL ",\"clock_trusted\":true}"

static struct site site;
static struct mqtt_json json;
static char topic_bytes[TOPIC_SIZE], payload_bytes[PAYLOAD_SIZE];
static uint8_t body_bytes[ENTRY_SIZE];
static struct bytes_writer body;

static int setup(void **state) {
    (void)state;
    site_init(&site);
    json = (struct mqtt_json){.config = &site.config, .series = &site.directory, .topic_prefix = "yanhuo/v1/gw"};
    bytes_writer_init(&body, body_bytes, sizeof(body_bytes));
    return 0;
}

static cJSON *render(enum entry_kind kind) {
    struct text topic, payload;
    assert_false(body.full);
    struct entry entry = {.lane = LANE_EVENT,
                          .kind = kind,
                          .uplinks = 1,
                          .trusted = true,
                          .seq = 17,
                          .start = START,
                          .at_ms = AT_MS,
                          .body = body.bytes,
                          .body_size = (uint32_t)body.length};
    text_init(&topic, topic_bytes, sizeof(topic_bytes));
    text_init(&payload, payload_bytes, sizeof(payload_bytes));
    assert_true(mqtt_json_entry(&json, &entry, false, &topic, &payload));
    assert_string_equal(topic_bytes, "yanhuo/v1/gw/event");
    cJSON *parsed = cJSON_Parse(payload_bytes);
    assert_true(cJSON_IsObject(parsed));
    bytes_writer_init(&body, body_bytes, sizeof(body_bytes));
    return parsed;
}

static void assert_event(enum entry_kind kind, const char *expected) {
    cJSON_Delete(render(kind));
    assert_string_equal(payload_bytes, expected);
}

static void test_command(void **state) {
    (void)state;
    struct command command = {.verb = COMMAND_SHELVE,
                              .id = "c-1",
                              .by = "王 \"W\"",
                              .peer = "mqtt city",
                              .fields = FIELD_DEVICE | FIELD_ALARM | FIELD_REASON | FIELD_UNTIL,
                              .device = "smoke-1",
                              .alarm = "smoke",
                              .reason = "welding",
                              .until_ms = AT_MS + 3600000};
    entry_put_command(&body, &command);
    assert_event(ENTRY_COMMAND, HEAD("command") "\"verb\":\"shelve\",\"command\":\"c-1\",\"by\":\"王 \\\"W\\\"\",\"channel\":\"mqtt city\","
                                                "\"authorised\":false,\"device\":\"smoke-1\",\"alarm\":\"smoke\",\"reason\":\"welding\","
                                                "\"until\":\"2026-11-23T13:00:00.123+08:00\"" TAIL);
    command = (struct command){.verb = COMMAND_WRITE,
                               .id = "c-2",
                               .by = "root",
                               .peer = "socket uid 0",
                               .authorised = true,
                               .fields = FIELD_DEVICE | FIELD_POINT | FIELD_VALUE,
                               .device = "relay-1",
                               .point = "channel-1",
                               .value = 1.5};
    entry_put_command(&body, &command);
    assert_event(ENTRY_COMMAND, HEAD("command") "\"verb\":\"write\",\"command\":\"c-2\",\"by\":\"root\",\"channel\":\"socket uid 0\","
                                                "\"authorised\":true,\"device\":\"relay-1\",\"point\":\"channel-1\",\"value\":1.5" TAIL);
    memcpy(command.value_text, "off", 4);
    entry_put_command(&body, &command);
    cJSON *parsed = render(ENTRY_COMMAND);
    assert_string_equal(cJSON_GetObjectItem(parsed, "value")->valuestring, "off");
    cJSON_Delete(parsed);
}

static void test_other_fields_of_commands(void **state) {
    (void)state;
    struct command command = {.verb = COMMAND_WALK_TEST, .id = "c-3", .by = "a", .peer = "p"};
    command.fields = FIELD_PLACE | FIELD_MINUTES | FIELD_INHIBIT | FIELD_STOP | FIELD_ON;
    memcpy(command.place, "shed-1", 7);
    command.minutes = 30;
    command.inhibit = true;
    entry_put_command(&body, &command);
    assert_event(ENTRY_COMMAND, HEAD("command") "\"verb\":\"walk_test\",\"command\":\"c-3\",\"by\":\"a\",\"channel\":\"p\",\"authorised\":false,"
                                                "\"place\":\"shed-1\",\"minutes\":30,\"on\":false,\"inhibit\":true,\"stop\":false" TAIL);
    command = (struct command){.verb = COMMAND_MAINTENANCE, .id = "c-4", .by = "a", .peer = "p", .next_due_ms = AT_MS};
    command.fields = FIELD_DEVICE | FIELD_TYPE | FIELD_WHAT | FIELD_COMPANY | FIELD_NEXT_DUE;
    memcpy(command.device, "fume-1", 7);
    memcpy(command.type, "cleaning", 9);
    memcpy(command.what, "hood", 5);
    memcpy(command.company, "C", 2);
    entry_put_command(&body, &command);
    assert_event(ENTRY_MAINTENANCE,
                 HEAD("maintenance") "\"verb\":\"maintenance\",\"command\":\"c-4\",\"by\":\"a\",\"channel\":\"p\",\"authorised\":false,"
                                     "\"device\":\"fume-1\",\"what\":\"hood\",\"type\":\"cleaning\",\"company\":\"C\","
                                     "\"next_due\":\"2026-11-23T12:00:00.123+08:00\"" TAIL);
    command = (struct command){.verb = COMMAND_ASSIGN, .id = "c-5", .by = "a", .peer = "p", .fields = FIELD_PROBLEM | FIELD_TO};
    memcpy(command.problem, "gw-00000000000000ab-1", 22);
    memcpy(command.to, "王师傅", sizeof("王师傅"));
    entry_put_command(&body, &command);
    cJSON *parsed = render(ENTRY_COMMAND);
    assert_string_equal(cJSON_GetObjectItem(parsed, "problem")->valuestring, "gw-00000000000000ab-1");
    assert_string_equal(cJSON_GetObjectItem(parsed, "to")->valuestring, "王师傅");
    cJSON_Delete(parsed);
}

static void test_problem(void **state) {
    (void)state;
    struct problem_event event = {
        .start = START, .seq = 5, .state = PROBLEM_OPEN, .opened_ms = AT_MS, .occurrences = 1, .device = "smoke-1", .alarm = "smoke"};
    entry_put_problem(&body, &event);
    assert_event(ENTRY_PROBLEM, HEAD("problem") "\"problem\":\"gw-00000000000000ab-5\",\"state\":\"open\",\"device\":\"smoke-1\",\"alarm\":\"smoke\","
                                                "\"opened\":\"2026-11-23T12:00:00.123+08:00\",\"occurrences\":1,\"to\":null,\"by\":null,"
                                                "\"what\":null" TAIL);
    static const struct {
        enum problem_state state;
        const char *name;
    } states[] = {{PROBLEM_ASSIGNED, "assigned"}, {PROBLEM_RECTIFIED, "rectified"}, {PROBLEM_CLOSED, "closed"}, {(enum problem_state)77, "unknown"}};
    for (unsigned i = 0; i < ARRAY_COUNT(states); i++) {
        event.state = (uint8_t)states[i].state;
        memcpy(event.to, "T", 2);
        memcpy(event.by, "B", 2);
        memcpy(event.what, "W\n", 3);
        entry_put_problem(&body, &event);
        cJSON *parsed = render(ENTRY_PROBLEM);
        assert_string_equal(cJSON_GetObjectItem(parsed, "state")->valuestring, states[i].name);
        assert_string_equal(cJSON_GetObjectItem(parsed, "to")->valuestring, "T");
        assert_string_equal(cJSON_GetObjectItem(parsed, "by")->valuestring, "B");
        assert_string_equal(cJSON_GetObjectItem(parsed, "what")->valuestring, "W\n");
        cJSON_Delete(parsed);
    }
}

static void test_walk(void **state) {
    (void)state;
    static struct walk_event event;
    event = (struct walk_event){.inhibit = true, .detectors = 2, .began_ms = AT_MS, .by = "W", .id = "c-1", .place = "shed-1"};
    entry_put_walk(&body, &event);
    assert_event(ENTRY_WALK_TEST, HEAD("walk_test") "\"state\":\"begun\",\"command\":\"c-1\",\"by\":\"W\",\"place\":\"shed-1\",\"device\":null,"
                                                    "\"began\":\"2026-11-23T12:00:00.123+08:00\",\"inhibit\":true,\"detectors\":2,\"seen\":0" TAIL);
    event.ended = true;
    event.seen = 1;
    event.items_count = 2;
    event.items[0] = (struct walk_item){.device = "smoke-1", .alarm = "smoke", .at_ms = AT_MS, .latency_ms = 12};
    event.items[1] = (struct walk_item){.device = "smoke-2", .alarm = "smoke", .latency_ms = -1};
    entry_put_walk(&body, &event);
    assert_event(ENTRY_WALK_TEST,
                 HEAD("walk_test") "\"state\":\"ended\",\"command\":\"c-1\",\"by\":\"W\",\"place\":\"shed-1\",\"device\":null,"
                                   "\"began\":\"2026-11-23T12:00:00.123+08:00\",\"inhibit\":true,\"detectors\":2,\"seen\":1,\"part\":0,\"results\":["
                                   "{\"device\":\"smoke-1\",\"alarm\":\"smoke\",\"seen\":true,\"at\":\"2026-11-23T12:00:00.123+08:00\","
                                   "\"latency_ms\":12},"
                                   "{\"device\":\"smoke-2\",\"alarm\":\"smoke\",\"seen\":false,\"at\":null,\"latency_ms\":null}]" TAIL);
}

/* The longest part, with the longest names, fits an entry and a message. */
static void test_largest_walk_fits(void **state) {
    (void)state;
    static struct walk_event event;
    event = (struct walk_event){.ended = true, .detectors = UINT16_MAX, .seen = UINT16_MAX, .part = UINT16_MAX, .items_count = WALK_PART_MAX};
    memset(event.by, '\x01', NAME_SIZE - 1);
    memset(event.id, '\x01', NAME_SIZE - 1);
    memset(event.place, 'p', NAME_SIZE - 1);
    memset(event.device, 'd', NAME_SIZE - 1);
    event.began_ms = AT_MS;
    for (unsigned i = 0; i < WALK_PART_MAX; i++) {
        memset(event.items[i].device, 'd', NAME_SIZE - 1);
        memset(event.items[i].alarm, 'a', NAME_SIZE - 1);
        event.items[i].at_ms = INT64_MAX / 2;
        event.items[i].latency_ms = INT32_MAX;
        event.items[i].at_ms = AT_MS;
    }
    entry_put_walk(&body, &event);
    assert_true(body.length <= WALK_EVENT_SIZE);
    cJSON *parsed = render(ENTRY_WALK_TEST);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(parsed, "results")), WALK_PART_MAX);
    cJSON_Delete(parsed);
}

static void test_bursts(void **state) {
    (void)state;
    struct burst_event event = {
        .device = "meter-1", .alarm = "overcurrent", .state = 1, .count = 3, .first_ms = AT_MS - 1000, .last_ms = AT_MS};
    entry_put_burst(&body, &event);
    assert_event(ENTRY_CHATTER, HEAD("chatter") "\"burst\":\"begun\",\"device\":\"meter-1\",\"alarm\":\"overcurrent\",\"state\":\"unacknowledged\","
                                                "\"first\":\"2026-11-23T11:59:59.123+08:00\",\"last\":\"2026-11-23T12:00:00.123+08:00\","
                                                "\"count\":3" TAIL);
    event = (struct burst_event){.ended = true, .number = 2, .count = 40, .first_ms = AT_MS, .last_ms = AT_MS};
    entry_put_burst(&body, &event);
    assert_event(ENTRY_FLOOD, HEAD("flood") "\"burst\":\"ended\",\"number\":2,\"first\":\"2026-11-23T12:00:00.123+08:00\","
                                            "\"last\":\"2026-11-23T12:00:00.123+08:00\",\"count\":40" TAIL);
}

/* A write by command is nobody's alarm; a released action says so. */
static void test_action_by_a_person(void **state) {
    (void)state;
    entry_put_action(&body, &(struct action_event){.device = "relay-1", .point = "channel-1", .value = 1, .ok = true, .attempt = 1, .by = "W"});
    assert_event(ENTRY_ACTION, HEAD("action") "\"action\":\"\",\"device\":\"relay-1\",\"point\":\"channel-1\",\"value\":1,\"ok\":true,\"attempt\":1,"
                                              "\"why\":\"\",\"alarm_device\":\"\",\"alarm\":\"\",\"test\":false,\"by\":\"W\"" TAIL);
    entry_put_action(&body, &(struct action_event){.action = "cut", .device = "relay-1", .ok = true, .why = "released", .test = true});
    cJSON *parsed = render(ENTRY_ACTION);
    assert_string_equal(cJSON_GetObjectItem(parsed, "why")->valuestring, "released");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(parsed, "test")));
    cJSON_Delete(parsed);
}

/* An alarm that is no longer configured. Its class is not known when its record is of an earlier version; a transition has one. */
static void test_removed(void **state) {
    (void)state;
    struct alarm_event event = {.device = "smoke-1",
                                .alarm = "smoke",
                                .occurrence_start = START,
                                .occurrence_seq = 9,
                                .class = CLASS_FIRE,
                                .priority = PRIORITY_HIGH,
                                .state = ALARM_LATCHED,
                                .cause = CAUSE_REMOVED,
                                .since_ms = AT_MS,
                                .zh = "z",
                                .en = "e"};
    entry_put_alarm(&body, &event);
    assert_event(ENTRY_REMOVED,
                 "{\"id\":\"gw-00000000000000ab-17\",\"replayed\":false,\"kind\":\"removed\",\"cause\":\"removed\","
                 "\"occurrence\":\"gw-00000000000000ab-9\",\"device\":\"smoke-1\",\"alarm\":\"smoke\",\"class\":\"fire\",\"priority\":\"high\","
                 "\"state\":\"latched\",\"condition\":\"\",\"value\":null,\"unit\":\"\",\"limit\":null,"
                 "\"since\":\"2026-11-23T12:00:00.123+08:00\",\"at\":\"2026-11-23T12:00:00.123+08:00\",\"place\":null,\"location\":\"\","
                 "\"text\":{\"zh\":\"z\",\"en\":\"e\"},\"test\":false,\"by\":null,\"reason\":null,\"until\":null,"
                 "\"remedy\":{\"zh\":\"\",\"en\":\"\"}" TAIL);
    event.class = event.priority = event.state = ALARM_UNKNOWN;
    entry_put_alarm(&body, &event);
    cJSON_Delete(render(ENTRY_REMOVED));
    assert_non_null(strstr(payload_bytes, "\"class\":null,\"priority\":null,\"state\":\"unknown\""));
    entry_put_alarm(&body, &event);
    cJSON_Delete(render(ENTRY_ALARM));
    assert_non_null(strstr(payload_bytes, "\"kind\":\"unreadable\""));
}

/* The end of its retained topic is nothing, on that topic; of names that cannot be a topic it is none. */
static void test_cleared(void **state) {
    (void)state;
    struct text topic, payload;
    entry_put_cleared(&body, &(struct cleared_event){.device = "smoke-1", .alarm = "smoke"});
    struct entry entry = {.kind = ENTRY_CLEARED, .seq = 17, .start = START, .at_ms = AT_MS, .body = body.bytes, .body_size = (uint32_t)body.length};
    text_init(&topic, topic_bytes, sizeof(topic_bytes));
    text_init(&payload, payload_bytes, sizeof(payload_bytes));
    assert_true(mqtt_json_entry(&json, &entry, true, &topic, &payload));
    assert_string_equal(topic_bytes, "yanhuo/v1/gw/alarm/smoke-1/smoke");
    assert_string_equal(payload_bytes, "");
    bytes_writer_init(&body, body_bytes, sizeof(body_bytes));
    entry_put_cleared(&body, &(struct cleared_event){.device = "smoke-1", .alarm = "#"});
    cJSON_Delete(render(ENTRY_CLEARED));
    assert_non_null(strstr(payload_bytes, "\"kind\":\"unreadable\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_command, setup), cmocka_unit_test_setup(test_other_fields_of_commands, setup),
        cmocka_unit_test_setup(test_problem, setup), cmocka_unit_test_setup(test_walk, setup),
        cmocka_unit_test_setup(test_bursts, setup),  cmocka_unit_test_setup(test_largest_walk_fits, setup),
        cmocka_unit_test_setup(test_removed, setup), cmocka_unit_test_setup(test_cleared, setup),
        cmocka_unit_test_setup(test_action_by_a_person, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
