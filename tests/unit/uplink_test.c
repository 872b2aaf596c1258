/* SPDX-License-Identifier: Apache-2.0 */
/* What an uplink sends, in which order, what becomes of it, and how long it pauses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/uplinks/uplink.h"
#include "uplink_rig.h"

/* ---- the order ---- */

static void test_order_after_link_up(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_begin(world);
    assert_int_equal(world->connects, 1); /* at once */
    link_poll(world, 1, 1);               /* before the link: backlog */
    link_up(world);
    static const char *const expected[] = {
        "status",        "alarm/device-0/alarm-0", "alarm/device-1/alarm-1", "alarm/device-2/alarm-2", "alarm/device-3/alarm-3",
        "meta/device-0", "meta/device-1",          "meta/device-2",          "meta/device-3",          "health",
        "event",         "reading/device-1"};
    assert_int_equal(world->sends_count, 12);
    link_assert_topics(world, 0, expected, 12);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(world->sends[i].qos, i == 9 ? 0 : 1);
        assert_true(world->sends[i].retain == (i < 10));
    }
    assert_non_null(strstr(world->sends[10].payload, "\"replayed\":true"));
    assert_non_null(strstr(world->sends[11].payload, "\"replayed\":true"));
    link_acknowledge_all(world);
    link_poll(world, 2, 1);
    assert_string_equal(world->sends[12].topic, "reading/device-2");
    assert_non_null(strstr(world->sends[12].payload, "\"replayed\":false"));
    link_acknowledge_all(world);
    assert_int_equal(link_counters(world)->uplinks[0].in_flight, 0);
    assert_int_equal(link_counters(world)->uplinks[0].acked, 13);
    link_world_end(world);
}

/* Before anything was heard of a point, "normal" is not sent: the broker may retain an alarm of before the start. */
static void test_normal_is_sent_when_judged(void **state) {
    (void)state;
    struct world *world = link_world_new();
    world->silent = true;
    link_begin(world);
    link_up(world);
    static const char *const first[] = {"status", "meta/device-0", "meta/device-1", "meta/device-2", "meta/device-3", "health", "event"};
    assert_int_equal(world->sends_count, 7);
    link_assert_topics(world, 0, first, 7);
    link_acknowledge_all(world);
    link_poll(world, 1, 1);
    static const char *const judged[] = {"alarm/device-1/alarm-1", "reading/device-1"};
    assert_int_equal(world->sends_count, 9);
    link_assert_topics(world, 7, judged, 2);
    assert_non_null(strstr(world->sends[7].payload, "\"state\":\"normal\""));
    link_answer(world, 7, ACK_LOST);
    assert_int_equal(world->sends_count, 10);
    link_assert_topics(world, 9, judged, 1);
    link_acknowledge_all(world);
    link_poll(world, 1, 1);
    assert_int_equal(world->sends_count, 11); /* once */
    link_assert_topics(world, 10, judged + 1, 1);
    link_poll(world, 0, 11);
    static const char *const raised[] = {"event", "alarm/device-0/alarm-0", "event", "reading/device-0"};
    assert_int_equal(world->sends_count, 15);
    link_assert_topics(world, 11, raised, 4);
    assert_non_null(strstr(world->sends[13].payload, "\"kind\":\"problem\""));
    assert_non_null(strstr(world->sends[12].payload, "\"state\":\"unacknowledged\""));
    link_down(world, LINK_LOST);
    link_advance(world, 2000);
    unsigned from = world->sends_count;
    link_up(world);
    static const char *const again[] = {"status", "alarm/device-0/alarm-0", "alarm/device-1/alarm-1", "meta/device-0"};
    link_assert_topics(world, from, again, 4); /* the other two still wait */
    link_world_end(world);
}

static void test_window_and_reserved_slots(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    for (unsigned i = 0; i < 50; i++)
        link_poll(world, 1, i % 10);
    assert_int_equal(world->sends_count - from, 20 - WINDOW_RESERVED); /* readings leave room */
    assert_int_equal(link_counters(world)->uplinks[0].in_flight, 12);
    link_poll(world, 0, 11); /* fire */
    static const char *const expected[] = {"event", "alarm/device-0/alarm-0", "event"};
    link_assert_topics(world, from + 12, expected, 3); /* at once, ahead of the readings that wait */
    assert_int_equal(world->sends_count - from, 15);
    link_answer(world, from, ACK_OK); /* a slot of a reading; still more than the readings' share is in flight */
    assert_int_equal(world->sends_count - from, 15);
    link_acknowledge_all(world);
    assert_int_equal(world->sends_count - from, 54);        /* 51 polls, an event, a state, a problem */
    for (unsigned i = 0, expected_value = 0; i < 54; i++) { /* in order */
        const char *value = strstr(world->sends[from + i].payload, "\"v\":");
        if (strcmp(world->sends[from + i].topic, "reading/device-1") != 0)
            continue;
        assert_non_null(value);
        assert_int_equal(strtol(value + 4, NULL, 10), (long)(expected_value++ % 10));
    }
    link_world_end(world);
}

static void test_small_windows(void **state) {
    (void)state;
    static const uint16_t windows[] = {1, 2, 3, 4, 16, 17};
    static const unsigned readings[] = {1, 2, 3, 3, 12, 9};
    for (unsigned i = 0; i < 6; i++) {
        struct world *world = link_world_new();
        world->site.uplinks[0].mqtt.window = windows[i];
        link_begin(world);
        link_up(world);
        for (unsigned k = 0; k < 40; k++)
            link_acknowledge_all(world);
        unsigned from = world->sends_count;
        for (unsigned k = 0; k < 30; k++)
            link_poll(world, 1, 1);
        assert_int_equal(world->sends_count - from, readings[i]);
        link_world_end(world);
    }
}

static void test_receive_maximum(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_begin(world);
    link_step(world, &(struct event){.kind = EVENT_LINK_UP, .link_up = {.receive_max = 3, .version = 5}});
    link_settle(world);
    assert_int_equal(world->sends_count, 3);
    assert_int_equal(link_counters(world)->uplinks[0].window, 3);
    link_world_end(world);
}

/* A window that is full is not a reason to wake up: health and rows wait for an answer. */
static void test_full_window_is_no_busy_loop(void **state) {
    (void)state;
    struct world *world = link_world_new();
    world->site.uplinks[0].mqtt.window = 4;
    link_begin(world);
    link_up(world);
    assert_int_equal(link_counters(world)->uplinks[0].in_flight, 4);
    link_advance(world, 300000); /* settle fails when it does not come to rest */
    link_answer_store(world);
    assert_int_equal(link_counters(world)->uplinks[0].in_flight, 4);
    link_world_end(world);
}

/* ---- what becomes of it ---- */

static void test_refused(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    link_poll(world, 1, 1);
    link_poll(world, 1, 2);
    link_answer(world, from, ACK_REFUSED);
    link_answer(world, from + 1, ACK_REFUSED);
    assert_int_equal(link_counters(world)->uplinks[0].refused, 2);
    assert_int_equal(link_counters(world)->uplinks[0].in_flight, 0);
    assert_int_equal(world->disconnects, 0);
    const char *first = strstr(world->said, "refuses a message: reason 0x87; check what this user may publish under yanhuo/v1/gw/#");
    assert_non_null(first);
    assert_null(strstr(first + 1, "refuses a message")); /* said once */
    link_poll(world, 1, 3);
    assert_int_equal(world->sends_count, from + 3); /* not again, and the next goes on */
    link_world_end(world);
}

static void test_lost_retained_state_is_sent_again(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_begin(world);
    link_up(world);
    link_answer(world, 0, ACK_LOST); /* status */
    link_answer(world, 1, ACK_LOST); /* a fire alarm's state */
    link_answer(world, 5, ACK_LOST); /* meta */
    link_answer(world, 9, ACK_LOST); /* health: the next one says the same */
    static const char *const expected[] = {"status", "alarm/device-0/alarm-0", "meta/device-0"};
    link_assert_topics(world, world->sends_count - 3, expected, 3);
    assert_int_equal(world->disconnects, 0);
    assert_int_equal(link_counters(world)->uplinks[0].resent, 4);
    link_world_end(world);
}

static void test_lost_entries_are_sent_again(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    for (unsigned i = 0; i < 5; i++)
        link_poll(world, 1, i);
    link_answer(world, from + 1, ACK_OK);
    link_answer(world, from, ACK_LOST);
    assert_int_equal(world->disconnects, 1);
    link_answer(world, from + 2, ACK_LOST); /* the link tells of each before it ends */
    link_answer(world, from + 3, ACK_LOST);
    link_down(world, LINK_CLOSED);
    assert_int_equal(link_counters(world)->uplinks[0].in_flight, 0);
    link_advance(world, 2000);
    assert_int_equal(world->connects, 2);
    from = world->sends_count;
    link_up(world);
    link_acknowledge_all(world);
    link_advance(world, 5000);
    assert_int_equal(world->disconnects, 1); /* what was lost on the last connection does not end this one */
    assert_int_equal(link_counters(world)->uplinks[0].up, 1);
    unsigned again = 0;
    for (unsigned i = from; i < world->sends_count; i++)
        again += strcmp(world->sends[i].topic, "reading/device-1") == 0 && strstr(world->sends[i].payload, "\"replayed\":true");
    assert_int_equal(again, 5); /* the second, acknowledged behind a hole, too: its id makes that harmless */
    link_world_end(world);
}

static void test_answers_of_a_connection_that_is_gone(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    link_poll(world, 1, 1);
    uint16_t slot = world->sends[from].slot;
    link_down(world, LINK_LOST);
    link_step(world, &(struct event){.kind = EVENT_ACKED, .acked = {.slot = slot, .result = ACK_LOST}});
    link_step(world, &(struct event){.kind = EVENT_ACKED, .acked = {.slot = slot, .result = ACK_OK}});
    link_advance(world, 2000);
    link_up(world);
    bool again = false;
    for (unsigned i = from + 1; i < world->sends_count; i++)
        again = again || strcmp(world->sends[i].topic, "reading/device-1") == 0;
    assert_true(again);
    link_world_end(world);
}

/* ---- the pause ---- */

static int64_t pause_ms(struct world *world) {
    unsigned connects = world->connects;
    link_down(world, LINK_REFUSED_TCP);
    int64_t from = world->ms;
    while (world->connects == connects) {
        assert_true(world->ms - from < 100000);
        world->ms = (engine_next_wake(world->engine) + 999) / 1000;
        link_tick(world);
        link_answer_store(world);
    }
    return world->ms - from;
}

static void test_backoff(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_begin(world);
    int64_t least = INT64_MAX, most = 0;
    static const int64_t pauses_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000};
    for (unsigned i = 0; i < 200; i++) {
        int64_t expected = pauses_ms[i < 7 ? i : 6], pause = pause_ms(world);
        assert_true(pause >= expected * 3 / 4 && pause <= expected * 5 / 4 + 1);
        if (i >= 7) {
            least = pause < least ? pause : least;
            most = pause > most ? pause : most;
        }
    }
    assert_true(least < 48000 && most > 72000); /* spread over the whole of it */
    const char *said = strstr(world->said, "uplink uplink-0 down refused: nobody listens at that address and port (next try in ");
    assert_non_null(said);
    assert_null(strstr(said + strlen("uplink uplink-0"), "uplink-0 down")); /* the same reason is said once */
    link_up(world); /* a short connection: the broker is there, and an alarm may be waiting */
    world->ms += 29000;
    int64_t flap_ms = pause_ms(world);
    assert_true(flap_ms >= 6000 && flap_ms <= 10001);
    link_up(world);
    world->ms += 30000;
    assert_true(pause_ms(world) <= 1251);
    link_world_end(world);
}

/* A connection that stood for days and is given up by us is as steady as one that broke. */
static void test_backoff_after_giving_up(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_begin(world);
    for (unsigned i = 0; i < 8; i++)
        (void)pause_ms(world);
    link_up(world);
    link_acknowledge_all(world);
    link_acknowledge_all(world);
    world->ms += 3600000;
    link_tick(world);
    link_acknowledge_all(world);
    unsigned from = world->sends_count;
    link_poll(world, 1, 1);
    link_answer(world, from, ACK_LOST);
    assert_int_equal(world->disconnects, 1);
    assert_true(pause_ms(world) <= 1251);
    link_world_end(world);
}

/* ---- the end ---- */

static void test_stop(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    unsigned from = world->sends_count;
    link_step(world, &(struct event){.kind = EVENT_STOP});
    link_settle(world);
    static const char *const expected[] = {"event", "status"};
    assert_int_equal(world->sends_count, from + 2);
    link_assert_topics(world, from, expected, 2);
    assert_non_null(strstr(world->sends[from].payload, "\"what\":\"stopped\""));
    assert_non_null(strstr(world->sends[from + 1].payload, "\"status\":\"offline\""));
    link_answer_store(world);
    assert_int_equal(world->disconnects, 0); /* acknowledgements first */
    link_acknowledge_all(world);
    assert_int_equal(world->disconnects, 1);
    assert_int_equal(world->stopped, 0);
    link_down(world, LINK_CLOSED);
    link_settle(world);
    assert_int_equal(world->stopped, 1);
    assert_int_equal(engine_next_wake(world->engine), NOW_NEVER);
    link_world_end(world);
}

static void test_stop_does_not_wait_for_a_dead_link(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    link_step(world, &(struct event){.kind = EVENT_STOP});
    link_answer_store(world);
    link_settle(world);
    link_advance(world, 1900);
    assert_int_equal(world->disconnects, 0);
    link_advance(world, 200);
    assert_int_equal(world->disconnects, 1);
    link_down(world, LINK_LOST);
    link_settle(world);
    assert_int_equal(world->stopped, 1);
    link_world_end(world);

    world = link_world_new(); /* nor for one that is being made */
    link_begin(world);
    link_step(world, &(struct event){.kind = EVENT_STOP});
    link_answer_store(world);
    link_advance(world, 2100);
    assert_int_equal(world->disconnects, 1);
    link_down(world, LINK_CLOSED);
    link_settle(world);
    assert_int_equal(world->stopped, 1);
    link_world_end(world);

    world = link_world_new(); /* nor for the next try */
    link_begin(world);
    link_down(world, LINK_UNREACHABLE);
    link_step(world, &(struct event){.kind = EVENT_STOP});
    link_answer_store(world);
    link_settle(world);
    assert_int_equal(world->stopped, 1);
    link_world_end(world);
}

static void test_cursor_is_told_now_and_then(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    link_advance(world, 3000);
    unsigned before = world->cursors;
    for (unsigned i = 0; i < 100; i++) {
        link_poll(world, 1, i);
        link_acknowledge_all(world);
        link_advance(world, 10);
    }
    link_advance(world, 2000);
    assert_true(world->cursors > before && world->cursors <= before + 2);
    link_world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_after_link_up),
        cmocka_unit_test(test_normal_is_sent_when_judged),
        cmocka_unit_test(test_window_and_reserved_slots),
        cmocka_unit_test(test_small_windows),
        cmocka_unit_test(test_receive_maximum),
        cmocka_unit_test(test_full_window_is_no_busy_loop),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lost_retained_state_is_sent_again),
        cmocka_unit_test(test_lost_entries_are_sent_again),
        cmocka_unit_test(test_answers_of_a_connection_that_is_gone),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_backoff_after_giving_up),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_does_not_wait_for_a_dead_link),
        cmocka_unit_test(test_cursor_is_told_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
