/* SPDX-License-Identifier: Apache-2.0 */
/* The way back of a command: where its answer goes, when, how often, and what becomes of too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/uplinks/replies.h"
#include "uplink_rig.h"

static struct command command_of(const char *id) {
    struct command command = {.channel = CHANNEL_MQTT, .peer = "mqtt city", .refusal = "of this test"};
    (void)text_copy(command.id, sizeof(command.id), id);
    return command;
}

static void ask(struct world *world, const char *id) {
    struct command command = command_of(id);
    link_step(world, &(struct event){.kind = EVENT_COMMAND, .command = &command});
}

static void a_reply_goes_to_who_asked(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    ask(world, "c-1");
    static const char *const topics[] = {"reply/c-1"};
    assert_int_equal(world->sends_count, from + 1);
    link_assert_topics(world, from, topics, 1);
    assert_true(world->sends[from].qos == 1 && !world->sends[from].retain);
    assert_non_null(strstr(world->sends[from].payload, "{\"id\":\"c-1\",\"verb\":null,\"ok\":false,\"why\":\"of this test\",\"at\":\"2026-"));
    assert_int_equal(link_counters(world)->commands.refused, 1);
    assert_non_null(strstr(world->said, "command c-1 ? refused (mqtt city): of this test"));
    link_acknowledge_all(world);
    link_advance(world, 5000);
    for (unsigned i = from + 1; i < world->sends_count; i++)
        assert_string_not_equal(world->sends[i].topic, "reply/c-1"); /* once */
    unsigned sent = world->sends_count;
    ask(world, ""); /* there is no topic for it, but it is counted and said */
    assert_int_equal(world->sends_count, sent);
    assert_int_equal(link_counters(world)->commands.refused, 2);
    assert_non_null(strstr(world->said, "command without id ? refused"));
    link_world_end(world);
}

static void a_reply_is_kept_until_it_arrived(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    ask(world, "c-1");
    link_answer(world, from, ACK_LOST);
    assert_int_equal(world->sends_count, from + 2);
    assert_string_equal(world->sends[from + 1].topic, "reply/c-1");
    link_down(world, LINK_LOST);
    ask(world, "c-2"); /* as good as asked just before the link broke */
    link_advance(world, 2000);
    unsigned again = world->sends_count;
    link_up(world);
    static const char *const topics[] = {"reply/c-1", "reply/c-2", "meta/device-0"}; /* behind the alarms, before what can wait */
    link_assert_topics(world, again + 5, topics, 3);
    assert_string_equal(world->sends[again + 4].topic, "alarm/device-3/alarm-3");
    link_acknowledge_all(world);
    link_down(world, LINK_LOST);
    link_advance(world, 4000); /* the second pause is longer */
    again = world->sends_count;
    link_up(world);
    assert_string_equal(world->sends[again + 5].topic, "meta/device-0"); /* they are not repeated */
    link_world_end(world);
}

/* An alarm that is raised in the same step as many answers wait goes before them. */
static void an_alarm_goes_first(void **state) {
    (void)state;
    struct world *world = link_world_new();
    world->site.uplinks[0].mqtt.window = 1;
    link_begin(world);
    link_up(world);
    while (link_counters(world)->uplinks[0].in_flight)
        link_acknowledge_all(world);
    ask(world, "c-1"); /* takes the window */
    ask(world, "c-2");
    link_poll(world, 0, 11);
    unsigned from = world->sends_count;
    for (unsigned i = 0; i < 4; i++)
        link_answer(world, world->sends_count - 1, ACK_OK);
    static const char *const topics[] = {"event", "alarm/device-0/alarm-0", "event", "reply/c-2"}; /* the second event is its problem */
    link_assert_topics(world, from, topics, 4);
    link_world_end(world);
}

static void too_many_replies(void **state) {
    (void)state;
    struct world *world = link_world_new();
    char id[16];
    link_begin(world); /* no link */
    for (unsigned i = 0; i < REPLIES_MAX + 4; i++) {
        snprintf(id, sizeof(id), "c-%u", i);
        ask(world, id);
    }
    assert_int_equal(link_counters(world)->commands.replies_dropped, 4);
    link_up(world);
    link_acknowledge_all(world);
    unsigned replies = 0;
    for (unsigned i = 0; i < world->sends_count; i++) {
        if (strncmp(world->sends[i].topic, "reply/", 6) != 0)
            continue;
        snprintf(id, sizeof(id), "reply/c-%u", 4 + replies++); /* the newest, in order */
        assert_string_equal(world->sends[i].topic, id);
    }
    assert_int_equal(replies, REPLIES_MAX);
    link_world_end(world);
}

static struct command_reply numbered(unsigned number, bool ok) {
    struct command_reply reply = {.outcome = {.ok = ok}};
    snprintf(reply.id, sizeof(reply.id), "%u", number);
    return reply;
}

static void what_was_done_is_told_longer(void **state) {
    (void)state;
    struct replies replies = {0};
    for (unsigned i = 0; i < REPLIES_MAX; i++) {
        struct command_reply reply = numbered(i, i != 3 && i != 5);
        assert_false(replies_put(&replies, &reply));
    }
    const struct reply *first = replies_take(&replies);
    uint32_t number = first->number;
    assert_string_equal(first->text.id, "0");
    for (unsigned i = 0; i < 3; i++) { /* refusals 3 and 5 go, then the oldest of all, which is under way */
        struct command_reply reply = numbered(100 + i, true);
        assert_true(replies_put(&replies, &reply));
    }
    assert_int_equal(replies.count, REPLIES_MAX);
    replies_done(&replies, number); /* its acknowledgement finds nothing */
    replies_lost(&replies, number);
    assert_int_equal(replies.count, REPLIES_MAX);
    static const char *const left[] = {"1", "2", "4", "6", "7"};
    for (unsigned i = 0; i < 5; i++)
        assert_string_equal(replies_take(&replies)->text.id, left[i]);
    replies_all_lost(&replies);
    assert_string_equal(replies_take(&replies)->text.id, "1");
}

static void a_flood_is_told_once(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    world->said[0] = '\0';
    for (unsigned i = 0; i < 3; i++)
        link_step(world, &(struct event){.kind = EVENT_FLOOD, .flood = {.dropped = 5000}});
    assert_string_equal(world->said, "uplink uplink-0: too many commands; beyond 10 a second they are dropped unseen\n");
    world->said[0] = '\0';
    link_step(world, &(struct event){.kind = EVENT_FLOOD});
    link_step(world, &(struct event){.kind = EVENT_FLOOD});
    assert_string_equal(world->said, "uplink uplink-0: the flood of commands is over; 15000 were dropped\n");
    assert_int_equal(link_counters(world)->commands.dropped, 15000);
    link_world_end(world);
}

static void a_local_client_is_answered_by_line(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    struct command command = command_of("");
    command.channel = CHANNEL_SOCKET;
    command.socket_id = 77;
    link_step(world, &(struct event){.kind = EVENT_COMMAND, .command = &command});
    assert_int_equal(world->sends_count, from);
    const struct effect *found = NULL;
    for (unsigned i = 0; i < world->effects.count; i++)
        if (world->effects.items[i].kind == EFFECT_REPLY)
            found = &world->effects.items[i];
    assert_non_null(found);
    assert_int_equal(found->reply.socket_id, 77);
    assert_non_null(strstr(found->reply.payload, "{\"id\":null,\"verb\":null,\"ok\":false,\"why\":\"of this test\""));
    assert_null(strchr(found->reply.payload, '\n'));
    link_tick(world);
    for (unsigned i = 0; i < world->effects.count; i++)
        assert_true(world->effects.items[i].kind != EFFECT_REPLY); /* once */
    link_world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_goes_to_who_asked),   cmocka_unit_test(a_reply_is_kept_until_it_arrived),
        cmocka_unit_test(an_alarm_goes_first),         cmocka_unit_test(too_many_replies),
        cmocka_unit_test(what_was_done_is_told_longer), cmocka_unit_test(a_flood_is_told_once),
        cmocka_unit_test(a_local_client_is_answered_by_line),
    };
    return cmocka_run_group_tests_name("uplink_reply", tests, NULL, NULL);
}
