/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as people and programs write them, rightly and wrongly: what is taken, and with which sentence the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/text.h"
#include "gateway/io/command_json.h"

#define HEAD "\"id\":\"c-1\",\"by\":\"\xE7\x8E\x8B\xE5\xB8\x88\xE5\x82\x85\",\"issued\":\"2026-11-23T12:00:00+08:00\",\"expires\":\"2026-11-23T12:01:00+08:00\""
#define ALARM "\"device\":\"smoke-1\",\"alarm\":\"smoke\""
#define ACKNOWLEDGE "{" HEAD "," ALARM "}"

static const char key_bytes[] = "0123456789abcdef-key";
static const struct command_key key = {.gateway_id = "nanhu-01", .bytes = key_bytes, .size = sizeof(key_bytes) - 1};
static const struct command_key no_key = {.gateway_id = "nanhu-01", .missing = "the configuration names no key"};
static const struct command_source remote = {.channel = CHANNEL_MQTT, .uplink = 3, .peer = "mqtt city"};
static const struct command_source owner = {.channel = CHANNEL_SOCKET, .socket_id = 9, .peer = "socket uid 0", .authorised = true};
static struct command command;

static void read_from(const struct command_source *source, const char *verb, const char *payload) {
    memset(&command, 0xAA, sizeof(command));
    command_json_read(source, &key, verb, payload, strlen(payload), &command);
}

static void assert_taken(const char *verb, const char *payload) {
    read_from(&owner, verb, payload);
    if (command.refusal[0])
        fail_msg("%s %s is refused: %s", verb, payload, command.refusal);
}

static void assert_refused_with(const char *verb, const char *payload, const char *part, const char *id) {
    if (!strstr(command.refusal, part))
        fail_msg("%s %s: expected '%s' in '%s'", verb, payload, part, command.refusal);
    assert_string_equal(command.id, id);
    assert_true(text_is_utf8(command.refusal, strlen(command.refusal)));
    for (const char *c = command.refusal; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
}

static void assert_refused(const char *verb, const char *payload, const char *part, const char *id) {
    read_from(&owner, verb, payload);
    assert_refused_with(verb, payload, part, id);
}

/* ---- taken ---- */

static void a_command_is_read(void **state) {
    (void)state;
    read_from(&remote, "acknowledge", " " ACKNOWLEDGE "\r\n");
    assert_string_equal(command.refusal, "");
    assert_int_equal(command.verb, COMMAND_ACKNOWLEDGE);
    assert_int_equal(command.channel, CHANNEL_MQTT);
    assert_int_equal(command.uplink, 3);
    assert_string_equal(command.peer, "mqtt city");
    assert_false(command.authorised || command.retained);
    assert_string_equal(command.id, "c-1");
    assert_string_equal(command.by, "\xE7\x8E\x8B\xE5\xB8\x88\xE5\x82\x85");
    assert_int_equal(command.issued_ms, 1795406400000);
    assert_int_equal(command.expires_ms, 1795406460000);
    assert_int_equal(command.fields, FIELD_DEVICE | FIELD_ALARM);
    assert_string_equal(command.device, "smoke-1");
    assert_string_equal(command.alarm, "smoke");
    read_from(&owner, "acknowledge", ACKNOWLEDGE);
    assert_int_equal(command.channel, CHANNEL_SOCKET);
    assert_int_equal(command.socket_id, 9);
    assert_true(command.authorised);
}

/* One of each verb, with everything it may have. */
static void every_verb_and_field(void **state) {
    (void)state;
    assert_taken("shelve", "{" HEAD "," ALARM ",\"reason\":\"paint\",\"until\":\"2026-11-23T13:00:00Z\"}");
    assert_string_equal(command.reason, "paint");
    assert_int_equal(command.until_ms, 1795438800000);
    assert_taken("unshelve", "{" HEAD "," ALARM ",\"reason\":\"dry\"}");
    assert_taken("out_of_service", "{" HEAD "," ALARM ",\"on\":true,\"reason\":\"rebuilt\",\"until\":\"2026-11-23T13:00:00Z\"}");
    assert_true(command.on);
    assert_taken("out_of_service", "{" HEAD ",\"device\":\"fan\",\"on\":false}");
    assert_true(!command.on && command.fields & FIELD_ON);
    assert_taken("reset", "{" HEAD "," ALARM ",\"what\":\"looked at it\"}");
    assert_taken("assign", "{" HEAD ",\"problem\":\"nanhu-01-ab-3\",\"to\":\"\xE6\x9D\x8E\",\"what\":\"today\"}");
    assert_string_equal(command.problem, "nanhu-01-ab-3");
    assert_taken("rectify", "{" HEAD ",\"problem\":\"nanhu-01-ab-3\",\"what\":\"belt changed\"}");
    assert_taken("close", "{" HEAD ",\"problem\":\"nanhu-01-ab-3\"}");
    assert_taken("maintenance", "{" HEAD ",\"device\":\"fume-1\",\"type\":\"cleaning\",\"what\":\"hood\",\"company\":\"Clean Co.\","
                                "\"next_due\":\"2027-01-01T00:00:00+08:00\"}");
    assert_string_equal(command.type, "cleaning");
    assert_string_equal(command.company, "Clean Co.");
    assert_int_equal(command.next_due_ms, 1798732800000);
    assert_taken("walk_test", "{" HEAD ",\"place\":\"shed-1\",\"minutes\":30,\"inhibit\":true,\"stop\":false,\"device\":\"d\"}");
    assert_int_equal(command.minutes, 30);
    assert_true(command.inhibit && !command.stop);
    assert_taken("walk_test", "{" HEAD "}");
    assert_int_equal(command.fields, 0);
    assert_taken("write", "{" HEAD ",\"device\":\"relay-1\",\"point\":\"channel-1\",\"value\":-1.5e1,\"reason\":\"r\"}");
    assert_true(command.value == -15 && command.value_text[0] == '\0');
    assert_taken("write", "{" HEAD ",\"device\":\"relay-1\",\"point\":\"channel-1\",\"value\":\"off\"}");
    assert_string_equal(command.value_text, "off");
}

/* The table is the manual: each verb takes exactly what it says, and misses exactly what it needs. */
static void the_table_is_kept(void **state) {
    (void)state;
    static const char *const values[] = {"\"n\"", "\"n\"", "\"n\"", "\"n\"", "\"n\"", "\"n\"", "\"n\"", "\"n\"", "\"repair\"", "\"n\"", "1",
                                         "\"2026-11-23T13:00:00Z\"", "\"2026-11-23T13:00:00Z\"", "5", "true", "true", "true"};
    for (unsigned v = COMMAND_ACKNOWLEDGE; v <= COMMAND_WRITE; v++) {
        const struct command_rule *rule = command_rule((enum command_verb)v);
        assert_non_null(rule);
        for (unsigned extra = 0; extra <= ARRAY_COUNT(values); extra++) { /* the needed ones and this one; the last: none more */
            char payload[1024];
            uint32_t bit = extra < ARRAY_COUNT(values) ? 1u << extra : 0, fields = rule->needed | bit;
            int length = snprintf(payload, sizeof(payload), "{" HEAD);
            for (unsigned f = 0; f < ARRAY_COUNT(values); f++)
                if (fields & 1u << f)
                    length += snprintf(payload + length, sizeof(payload) - (size_t)length, ",\"%s\":%s", command_field_name((enum command_field)(1u << f)), values[f]);
            snprintf(payload + length, sizeof(payload) - (size_t)length, "}");
            if (!bit || bit & rule->allowed)
                assert_taken(rule->name, payload);
            else
                assert_refused(rule->name, payload, "it takes", "c-1");
            if (bit & rule->needed) { /* and without it */
                length = snprintf(payload, sizeof(payload), "{" HEAD);
                for (unsigned f = 0; f < ARRAY_COUNT(values); f++)
                    if (rule->needed & ~bit & 1u << f)
                        length += snprintf(payload + length, sizeof(payload) - (size_t)length, ",\"%s\":%s", command_field_name((enum command_field)(1u << f)), values[f]);
                snprintf(payload + length, sizeof(payload) - (size_t)length, "}");
                assert_refused(rule->name, payload, "is missing", "c-1");
            }
        }
    }
}

/* ---- refused ---- */

static void what_is_no_json(void **state) {
    (void)state;
    assert_refused("acknowledge", "", "empty; expected a JSON object", "");
    assert_refused("acknowledge", "hello", "no JSON", "");
    assert_refused("acknowledge", "[1]", "no JSON object", "");
    assert_refused("acknowledge", "\"c-1\"", "no JSON object", "");
    assert_refused("acknowledge", "{" HEAD ",\"device\":}", "no JSON: wrong at byte", "c-1");
    assert_refused("acknowledge", "{" HEAD ",", "no JSON", "c-1");
    assert_refused("acknowledge", ACKNOWLEDGE " x", "no JSON", "c-1");
    assert_refused("acknowledge", ACKNOWLEDGE ACKNOWLEDGE, "no JSON", "c-1");
    assert_refused("acknowledge", "\xEF\xBB\xBF" ACKNOWLEDGE, "no JSON", "c-1");
    assert_refused("acknowledge", "{" HEAD "/**/," ALARM "}", "no JSON", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",}", "no JSON", "c-1");
    assert_refused("acknowledge", "{'id':'c-1'}", "no JSON", "");
    assert_refused("write", "{" HEAD ",\"device\":\"r\",\"point\":\"p\",\"value\":007}", "a number that is none", "c-1");
    assert_refused("write", "{" HEAD ",\"device\":\"r\",\"point\":\"p\",\"value\":1e999}", "a number that is none", "c-1");
    assert_refused("write", "{" HEAD ",\"device\":\"r\",\"point\":\"p\",\"value\":+1}", "a number that is none", "c-1");
    assert_refused("write", "{" HEAD ",\"device\":\"r\",\"point\":\"p\",\"value\":1.}", "a number that is none", "c-1");
    assert_refused("write", "{" HEAD ",\"device\":\"r\",\"point\":\"p\",\"value\":NaN}", "no JSON", "c-1");
    assert_refused("write", "{" HEAD ",\"device\":\"r\",\"point\":\"p\",\"value\":-}", "a number that is none", "c-1");
}

static void bytes_that_are_no_text(void **state) {
    (void)state;
    assert_refused("acknowledge", "{" HEAD ",\"device\":\"\xFF\",\"alarm\":\"a\"}", "not UTF-8", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"what\":\"a\nb\"}", "control character", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"what\":\"a\\nb\"}", "'what' holds control characters", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"what\":\"a\\u0000b\"}", "the character \\u0000", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"what\":\"a\\u0085b\"}", "'what' holds control characters", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"what\":\"a\x7F" "b\"}", "'what' holds control characters", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"what\":\"\\ud800\"}", "no JSON", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"a\\nb\":1}", "'a?b' is no member", "c-1");
    assert_refused("acknowledge\n\x1B[31m", ACKNOWLEDGE, "there is no command 'acknowledge??[31m'", "c-1");
    memset(&command, 0xAA, sizeof(command));
    command_json_read(&owner, &key, "acknowledge", ACKNOWLEDGE "\0", sizeof(ACKNOWLEDGE), &command); /* a zero byte behind it */
    assert_refused_with("acknowledge", "(zero byte)", "no JSON", "c-1");
}

static void sizes(void **state) {
    (void)state;
    char payload[COMMAND_SIZE + 2];
    memset(payload, ' ', sizeof(payload));
    memcpy(payload, ACKNOWLEDGE, strlen(ACKNOWLEDGE));
    command_json_read(&owner, &key, "acknowledge", payload, COMMAND_SIZE, &command);
    assert_string_equal(command.refusal, "");
    command_json_read(&owner, &key, "acknowledge", payload, COMMAND_SIZE + 1, &command);
    assert_refused_with("acknowledge", "(long)", "has 4097 bytes; at most 4096 are taken", "c-1");
    command_json_read(&owner, &key, "acknowledge", payload, 1 << 20, &command); /* only the front of it is there */
    assert_refused_with("acknowledge", "(1 MB)", "has 1048576 bytes", "c-1");
    char text[EVENT_TEXT_SIZE + 1];
    memset(text, 'x', sizeof(text));
    snprintf(payload, sizeof(payload), "{" HEAD "," ALARM ",\"what\":\"%.*s\"}", EVENT_TEXT_SIZE - 1, text);
    assert_taken("acknowledge", payload);
    snprintf(payload, sizeof(payload), "{" HEAD "," ALARM ",\"what\":\"%.*s\"}", EVENT_TEXT_SIZE, text);
    assert_refused("acknowledge", payload, "'what' has 160 bytes; at most 159", "c-1");
    snprintf(payload, sizeof(payload), "{\"id\":\"%.*s\"}", NAME_SIZE, text);
    assert_refused("acknowledge", payload, "'id' has 64 bytes; at most 63", "");
    snprintf(payload, sizeof(payload), "{\"%.*s\":1}", EVENT_TEXT_SIZE, text);
    assert_refused("acknowledge", payload, "xxx...' is no member", "");
    assert_refused("acknowledge", "{" HEAD ",\"device\":[[[[1]]]]}", "nested too deeply", "c-1");
    assert_refused("acknowledge", "{" HEAD ",\"device\":[[[1]]]}", "'device' is no text", "c-1");
}

static void names_and_twins(void **state) {
    (void)state;
    assert_refused("acknowlege", ACKNOWLEDGE, "there is no command 'acknowlege'; did you mean 'acknowledge'?", "c-1");
    assert_refused("explode", ACKNOWLEDGE, "there is no command 'explode'; `yanhuo command` lists them", "c-1");
    assert_refused("", ACKNOWLEDGE, "there is no command ''", "c-1");
    assert_refused("acknowledge", "{" HEAD ",\"devcie\":\"d\",\"alarm\":\"a\"}", "'devcie' is no member of a command; did you mean 'device'?", "c-1");
    assert_refused("acknowledge", "{" HEAD ",\"Device\":\"d\",\"alarm\":\"a\"}", "did you mean 'device'?", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"colour\":\"red\"}", "'colour' is no member of a command", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"until\":1}", "acknowledge takes no 'until'; it takes device, alarm, what", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"device\":\"d2\"}", "'device' is written twice", "c-1");
    assert_refused("acknowledge", "{" HEAD "," ALARM ",\"id\":\"c-2\"}", "'id' is written twice", "c-1");
    assert_refused("acknowledge", "{" HEAD ",\"alarm\":\"a\"}", "'device' is missing; acknowledge needs device, alarm", "c-1");
    assert_refused("acknowledge", "{\"id\":\"c-1\"}", "'by' is missing; every command has id, by, issued and expires", "c-1");
    assert_refused("acknowledge", "{}", "'id' is missing", "");
}

static void values_of_the_wrong_kind(void **state) {
    (void)state;
    static const char *const ids[] = {"", "a b", "a/b", "#", "+", "-a", "\xE7\x8E\x8B", "a\\u002fb"};
    for (unsigned i = 0; i < ARRAY_COUNT(ids); i++) {
        char payload[128];
        snprintf(payload, sizeof(payload), "{\"id\":\"%s\"}", ids[i]);
        assert_refused("acknowledge", payload, i == 0 ? "'id' is empty" : "'id' is no name", "");
    }
    assert_refused("acknowledge", "{\"id\":7}", "'id' is no text", "");
    assert_refused("acknowledge", "{\"id\":null}", "'id' is no text", "");
    assert_refused("acknowledge", "{\"id\":\"c-1\",\"by\":\"\"}", "'by' is empty", "c-1");
    assert_refused("acknowledge", "{\"id\":\"c-1\",\"issued\":1795406400}", "'issued' is no time; expected a time with offset", "c-1");
    assert_refused("acknowledge", "{\"id\":\"c-1\",\"expires\":\"2026-11-23T12:00:00\"}", "'expires' is no time", "c-1");
    assert_refused("acknowledge", "{\"id\":\"c-1\",\"device\":\"a/b\"}", "'device' is no name", "c-1");
    assert_refused("out_of_service", "{\"id\":\"c-1\",\"on\":1}", "'on' is neither true nor false", "c-1");
    assert_refused("out_of_service", "{\"id\":\"c-1\",\"on\":\"true\"}", "'on' is neither true nor false", "c-1");
    assert_refused("walk_test", "{\"id\":\"c-1\",\"minutes\":0}", "'minutes' is no whole number from 1 to 1440", "c-1");
    assert_refused("walk_test", "{\"id\":\"c-1\",\"minutes\":1.5}", "'minutes' is no whole number", "c-1");
    assert_refused("walk_test", "{\"id\":\"c-1\",\"minutes\":1441}", "'minutes' is no whole number", "c-1");
    assert_refused("walk_test", "{\"id\":\"c-1\",\"minutes\":-1}", "'minutes' is no whole number", "c-1");
    assert_refused("walk_test", "{\"id\":\"c-1\",\"minutes\":\"30\"}", "'minutes' is no whole number", "c-1");
    assert_refused("write", "{\"id\":\"c-1\",\"value\":true}", "'value' is neither a number nor a text", "c-1");
    assert_refused("write", "{\"id\":\"c-1\",\"value\":null}", "'value' is neither a number nor a text", "c-1");
    assert_refused("write", "{\"id\":\"c-1\",\"value\":\"\"}", "'value' is empty", "c-1");
    assert_refused("write", "{\"id\":\"c-1\",\"value\":\"12345678901234567890123456789012\"}", "'value' has 32 bytes; at most 31", "c-1");
}

/* ---- signed ---- */

static const char *envelope(const char *verb, const char *text, const struct command_key *by) {
    static char bytes[2 * COMMAND_SIZE];
    char hmac[COMMAND_HMAC_SIZE];
    struct text json;
    assert_true(command_json_sign(by, verb, text, hmac));
    text_init(&json, bytes, sizeof(bytes));
    text_add(&json, "{\"signed\":");
    text_add_json(&json, text);
    text_add(&json, ",\"hmac\":\"");
    text_add(&json, hmac);
    text_add(&json, "\"}");
    assert_false(json.full);
    return bytes;
}

static void assert_remote_refused(const char *verb, const char *payload, const char *part, const char *id) {
    read_from(&remote, verb, payload);
    assert_refused_with(verb, payload, part, id);
    assert_false(command.authorised);
}

static void a_signature_gives_authority(void **state) {
    (void)state;
    assert_remote_refused("reset", ACKNOWLEDGE, "reset must be signed", "c-1");
    assert_remote_refused("write", "{" HEAD ",\"device\":\"r\",\"point\":\"p\",\"value\":1}", "write must be signed", "c-1");
    read_from(&remote, "reset", envelope("reset", ACKNOWLEDGE, &key));
    assert_string_equal(command.refusal, "");
    assert_true(command.authorised);
    assert_string_equal(command.device, "smoke-1");
    assert_string_equal(command.id, "c-1");
    read_from(&remote, "acknowledge", envelope("acknowledge", "{\n  " HEAD ",\n  " ALARM "\n}\n", &key)); /* any verb, and any layout */
    assert_string_equal(command.refusal, "");
    assert_true(command.authorised);
}

/* The contract, computed with another program: printf 'nanhu-01\nreset\n{}' | openssl dgst -sha256 -hmac 0123456789abcdef-key */
static void the_signature_is_what_the_manual_says(void **state) {
    (void)state;
    char hmac[COMMAND_HMAC_SIZE];
    assert_true(command_json_sign(&key, "reset", "{}", hmac));
    assert_string_equal(hmac, "326362d93023f4ff92e088c833ec9199323d15353938d3fe5cf6a6937630c08c");
    assert_false(command_json_sign(&no_key, "reset", "{}", hmac));
}

static void a_signature_holds_for_one_thing(void **state) {
    (void)state;
    char changed[2 * COMMAND_SIZE];
    const struct command_key other = {.gateway_id = "nanhu-02", .bytes = key_bytes, .size = sizeof(key_bytes) - 1};
    const struct command_key guess = {.gateway_id = "nanhu-01", .bytes = "0123456789abcdef-kez", .size = sizeof(key_bytes) - 1};
    assert_remote_refused("reset", envelope("reset", ACKNOWLEDGE, &other), "the signature is wrong", "c-1");
    assert_remote_refused("reset", envelope("reset", ACKNOWLEDGE, &guess), "the signature is wrong", "c-1");
    assert_remote_refused("reset", envelope("acknowledge", ACKNOWLEDGE, &key), "the signature is wrong", "c-1");
    snprintf(changed, sizeof(changed), "%s", envelope("reset", ACKNOWLEDGE, &key));
    memcpy(strstr(changed, "smoke-1"), "smoke-2", 7);
    assert_remote_refused("reset", changed, "the signature is wrong", "c-1");
    snprintf(changed, sizeof(changed), "%s", envelope("reset", ACKNOWLEDGE, &key));
    changed[strlen(changed) - 3] ^= 1; /* the last digit of the code, to another or to none */
    read_from(&remote, "reset", changed);
    assert_true(command.refusal[0] != '\0' && !command.authorised);
    command_json_read(&remote, &no_key, "reset", envelope("reset", ACKNOWLEDGE, &key), strlen(envelope("reset", ACKNOWLEDGE, &key)), &command);
    assert_refused_with("reset", "(no key)", "signed commands cannot be checked here: the configuration names no key", "c-1");
    assert_false(command.authorised);
}

static void an_envelope_is_strict(void **state) {
    (void)state;
    static const char sixty_four[] = "0000000000000000000000000000000000000000000000000000000000000000";
    char payload[512];
    assert_remote_refused("reset", "{\"signed\":\"{}\"}", "and nothing else", "");
    assert_remote_refused("reset", "{\"hmac\":\"00\"}", "and nothing else", "");
    assert_remote_refused("reset", "{\"signed\":{\"id\":\"c-1\"},\"hmac\":\"00\"}", "and nothing else", "");
    assert_remote_refused("reset", "{\"signed\":\"{\\\"id\\\":\\\"c-1\\\"}\",\"hmac\":\"00\"}", "'hmac' is no HMAC-SHA256", "c-1");
    snprintf(payload, sizeof(payload), "{\"signed\":\"{}\",\"hmac\":\"%s\",\"id\":\"c-3\"}", sixty_four);
    assert_remote_refused("reset", payload, "and nothing else", "c-3");
    snprintf(payload, sizeof(payload), "{\"signed\":\"{}\",\"hmac\":\"%s0\"}", sixty_four);
    assert_remote_refused("reset", payload, "'hmac' is no HMAC-SHA256", "");
    read_from(&remote, "reset", envelope("reset", "", &key));
    assert_refused_with("reset", "(nothing signed)", "the command is empty", "");
    read_from(&remote, "reset", envelope("reset", "[]", &key));
    assert_refused_with("reset", "(a list signed)", "no JSON object", "");
    char twice[2 * COMMAND_SIZE];
    snprintf(twice, sizeof(twice), "%s", envelope("reset", ACKNOWLEDGE, &key));
    read_from(&remote, "reset", envelope("reset", twice, &key)); /* an envelope in an envelope */
    assert_refused_with("reset", twice, "'signed' is no member of a command", "");
    read_from(&remote, "rest", envelope("rest", ACKNOWLEDGE, &key));
    assert_refused_with("rest", "(signed)", "there is no command 'rest'; did you mean 'reset'?", "c-1");
}

static void retained_is_passed_on(void **state) {
    (void)state;
    struct command_source source = remote;
    source.retained = true;
    read_from(&source, "acknowledge", ACKNOWLEDGE);
    assert_true(command.retained);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_read),
        cmocka_unit_test(every_verb_and_field),
        cmocka_unit_test(the_table_is_kept),
        cmocka_unit_test(what_is_no_json),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(sizes),
        cmocka_unit_test(names_and_twins),
        cmocka_unit_test(values_of_the_wrong_kind),
        cmocka_unit_test(a_signature_gives_authority),
        cmocka_unit_test(the_signature_is_what_the_manual_says),
        cmocka_unit_test(a_signature_holds_for_one_thing),
        cmocka_unit_test(an_envelope_is_strict),
        cmocka_unit_test(retained_is_passed_on),
    };
    return cmocka_run_group_tests_name("command_json", tests, NULL, NULL);
}
