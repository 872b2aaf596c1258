/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of entry_people.c there and back, cut and damaged, from blocks of exactly their size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/core/command.h"

union any {
    struct command command;
    struct problem_event problem;
    struct walk_event walk;
    struct burst_event burst;
};

static uint8_t bytes[ENTRY_SIZE];
static struct bytes_writer body;

static int setup(void **state) {
    (void)state;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    return 0;
}

static bool get(enum entry_kind kind, const uint8_t *block, size_t size, union any *ret) {
    struct entry entry = {.kind = kind, .body = block, .body_size = (uint32_t)size};
    switch (kind) {
    case ENTRY_COMMAND:
        return entry_get_command(&entry, &ret->command);
    case ENTRY_PROBLEM:
        return entry_get_problem(&entry, &ret->problem);
    case ENTRY_WALK_TEST:
        return entry_get_walk(&entry, &ret->walk);
    default:
        return entry_get_burst(&entry, &ret->burst);
    }
}

static bool get_exact(enum entry_kind kind, size_t size, union any *ret) {
    uint8_t *block = malloc(size ? size : 1);
    assert_non_null(block);
    memcpy(block, bytes, size);
    bool ok = get(kind, block, size, ret);
    free(block);
    return ok;
}

/* Every cut is refused; with any bytes changed nothing is read past its end, and every text has one. */
static void check_damage(enum entry_kind kind) {
    static union any back;
    static uint8_t whole[ENTRY_SIZE];
    struct prng prng;
    size_t size = body.length;
    assert_false(body.full);
    memcpy(whole, bytes, size);
    for (size_t cut = 0; cut < size; cut++)
        assert_false(get_exact(kind, cut, &back));
    prng_init(&prng, kind);
    for (unsigned i = 0; i < 5000; i++) {
        for (unsigned k = 0; k < 3; k++)
            bytes[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        if (get_exact(kind, size, &back) && kind == ENTRY_WALK_TEST)
            assert_true(back.walk.items_count <= WALK_PART_MAX);
        memcpy(bytes, whole, size);
    }
}

static void fill(char *text, size_t size, char c) {
    memset(text, c, size - 1);
    text[size - 1] = '\0';
}

/* Each field alone and all of them, at their longest; of what was not written nothing is kept. */
static void test_command(void **state) {
    (void)state;
    static struct command command;
    static union any back;
    for (unsigned bit = 0; bit <= 17; bit++) {
        memset(&command, 0, sizeof(command));
        command.verb = COMMAND_MAINTENANCE;
        command.fields = bit < 17 ? 1u << bit : (1u << 17) - 1;
        command.authorised = command.on = command.inhibit = command.stop = true;
        command.issued_ms = INT64_MIN;
        command.until_ms = INT64_MAX;
        command.next_due_ms = -1;
        command.minutes = UINT32_MAX;
        command.value = -1e300;
        fill(command.id, sizeof(command.id), 'i');
        fill(command.by, sizeof(command.by), 'b');
        fill(command.peer, sizeof(command.peer), 'p');
        fill(command.value_text, sizeof(command.value_text), 'v');
        for (unsigned i = 0; i < command_texts_count; i++)
            fill((char *)&command + command_texts[i].offset, command_texts[i].size, (char)('A' + i));
        bytes_writer_init(&body, bytes, sizeof(bytes));
        entry_put_command(&body, &command);
        assert_false(body.full);
        assert_true(body.length <= sizeof(command) + 128); /* what the core sets aside for it */
        assert_true(get_exact(ENTRY_COMMAND, body.length, &back));
        const struct command *read = &back.command;
        assert_true(read->verb == command.verb && read->fields == command.fields && read->authorised && read->on && read->inhibit && read->stop);
        assert_true(read->issued_ms == command.issued_ms && read->until_ms == command.until_ms && read->next_due_ms == command.next_due_ms);
        assert_true(read->minutes == command.minutes && read->value == command.value);
        assert_string_equal(read->id, command.id);
        assert_string_equal(read->by, command.by);
        assert_string_equal(read->peer, command.peer);
        assert_string_equal(read->value_text, command.value_text);
        for (unsigned i = 0; i < command_texts_count; i++)
            assert_string_equal((const char *)read + command_texts[i].offset,
                                command.fields & command_texts[i].field ? (const char *)&command + command_texts[i].offset : "");
    }
    check_damage(ENTRY_COMMAND);
    command.verb = (enum command_verb)99; /* of a later version: there is no word for it here */
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_command(&body, &command);
    assert_false(get_exact(ENTRY_COMMAND, body.length, &back));
}

static void test_problem(void **state) {
    (void)state;
    static struct problem_event event = {.start = UINT64_MAX, .seq = UINT64_MAX, .state = 3, .opened_ms = INT64_MIN, .occurrences = UINT32_MAX};
    static union any back;
    fill(event.device, sizeof(event.device), 'd');
    fill(event.alarm, sizeof(event.alarm), 'a');
    fill(event.to, sizeof(event.to), 't');
    fill(event.by, sizeof(event.by), 'b');
    fill(event.what, sizeof(event.what), 'w');
    entry_put_problem(&body, &event);
    assert_true(get_exact(ENTRY_PROBLEM, body.length, &back));
    assert_memory_equal(&back.problem, &event, sizeof(event));
    check_damage(ENTRY_PROBLEM);
}

static void test_walk(void **state) {
    (void)state;
    static struct walk_event event = {.ended = true, .inhibit = true, .part = 3, .detectors = 200, .seen = 100, .began_ms = INT64_MAX};
    static union any back;
    fill(event.by, sizeof(event.by), 'b');
    fill(event.id, sizeof(event.id), 'i');
    fill(event.place, sizeof(event.place), 'p');
    fill(event.device, sizeof(event.device), 'd');
    for (unsigned i = 0; i < WALK_PART_MAX; i++) {
        fill(event.items[i].device, sizeof(event.items[i].device), 'd');
        fill(event.items[i].alarm, sizeof(event.items[i].alarm), 'a');
        event.items[i].at_ms = i;
        event.items[i].latency_ms = i & 1 ? -1 : INT32_MAX;
    }
    for (uint16_t count = 0; count <= WALK_PART_MAX; count += WALK_PART_MAX / 2) {
        event.items_count = count;
        bytes_writer_init(&body, bytes, WALK_EVENT_SIZE);
        entry_put_walk(&body, &event);
        assert_false(body.full);
        assert_true(get_exact(ENTRY_WALK_TEST, body.length, &back));
        assert_true(back.walk.ended && back.walk.inhibit && back.walk.part == 3 && back.walk.detectors == 200 && back.walk.seen == 100);
        assert_true(back.walk.items_count == count && back.walk.began_ms == event.began_ms);
        assert_string_equal(back.walk.place, event.place);
        for (unsigned i = 0; i < count; i++) {
            assert_string_equal(back.walk.items[i].alarm, event.items[i].alarm);
            assert_true(back.walk.items[i].at_ms == event.items[i].at_ms && back.walk.items[i].latency_ms == event.items[i].latency_ms);
        }
    }
    check_damage(ENTRY_WALK_TEST);
}

static void test_burst(void **state) {
    (void)state;
    static struct burst_event event = {
        .ended = true, .state = 255, .number = UINT64_MAX, .count = UINT64_MAX, .first_ms = INT64_MIN, .last_ms = INT64_MAX};
    static union any back;
    fill(event.device, sizeof(event.device), 'd');
    fill(event.alarm, sizeof(event.alarm), 'a');
    entry_put_burst(&body, &event);
    assert_true(get_exact(ENTRY_CHATTER, body.length, &back));
    assert_true(back.burst.ended && back.burst.state == 255 && back.burst.number == UINT64_MAX && back.burst.count == UINT64_MAX);
    assert_true(back.burst.first_ms == INT64_MIN && back.burst.last_ms == INT64_MAX);
    assert_string_equal(back.burst.device, event.device);
    assert_string_equal(back.burst.alarm, event.alarm);
    check_damage(ENTRY_CHATTER);
}

/* The table of verbs: every verb has a name that finds it, needs nothing it does not take, and only what switches or clears is signed. */
static void test_verbs(void **state) {
    (void)state;
    for (int verb = COMMAND_ACKNOWLEDGE; verb <= COMMAND_WRITE; verb++) {
        const struct command_rule *rule = command_rule((enum command_verb)verb);
        assert_non_null(rule);
        assert_ptr_equal(command_rule_named(rule->name), rule);
        assert_int_equal(rule->needed & ~rule->allowed, 0);
        assert_true(rule->authorised == (verb == COMMAND_RESET || verb == COMMAND_WRITE));
    }
    assert_null(command_rule((enum command_verb)0));
    assert_null(command_rule((enum command_verb)(COMMAND_WRITE + 1)));
    assert_null(command_rule_named(""));
    assert_null(command_rule_named("Reset"));
    for (unsigned bit = 0; bit < 17; bit++)
        assert_string_not_equal(command_field_name((enum command_field)(1u << bit)), "?");
    assert_string_equal(command_field_name((enum command_field)(1u << 17)), "?");
    assert_string_equal(command_field_name((enum command_field)3), "?");
    for (unsigned i = 0; i < command_texts_count; i++)
        assert_string_equal(command_texts[i].name, command_field_name(command_texts[i].field));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_command, setup), cmocka_unit_test_setup(test_problem, setup), cmocka_unit_test_setup(test_walk, setup),
        cmocka_unit_test_setup(test_burst, setup),   cmocka_unit_test(test_verbs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
