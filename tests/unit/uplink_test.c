/* SPDX-License-Identifier: Apache-2.0 */
/* One engine, one uplink, a link that is a list: what is sent, in which order, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core_site.h"
#include "gateway/engine.h"

#define SENDS_MAX 4096

struct sent {
    uint16_t slot;
    uint8_t qos;
    bool retain, answered;
    char topic[96], payload[512];
};

struct world {
    struct site site;
    struct arena arena;
    struct trace trace;
    struct engine *engine;
    struct effects effects;
    int64_t ms;
    struct sent sends[SENDS_MAX];
    unsigned sends_count, connects, disconnects, queries, cursors, stopped;
    uint64_t query_after, query_through;
    enum lane query_lane;
    bool store_answers;
    struct {
        bool due;
        enum lane lane;
        uint64_t last_seq;
    } store[LANES_COUNT];
    char said[8192]; /* the trace */
};

static void take_effects(struct world *world);

static void step(struct world *world, struct event *event) {
    event->now = site_now(world->ms);
    engine_step(world->engine, event, &world->effects);
    engine_check(world->engine);
    const struct trace_line *line;
    while (trace_take(&world->trace, &line))
        if (strlen(world->said) + strlen(line->text) + 2 < sizeof(world->said)) {
            strcat(world->said, line->text);
            strcat(world->said, "\n");
        }
    take_effects(world);
}

static void take_effects(struct world *world) {
    for (unsigned i = 0; i < world->effects.count; i++) {
        const struct effect *effect = &world->effects.items[i];
        switch (effect->kind) {
        case EFFECT_CONNECT:
            world->connects++;
            break;
        case EFFECT_DISCONNECT:
            world->disconnects++;
            break;
        case EFFECT_QUERY:
            world->queries++;
            world->query_lane = effect->query.lane;
            world->query_after = effect->query.after_seq;
            world->query_through = effect->query.through_seq;
            break;
        case EFFECT_CURSOR:
            world->cursors++;
            break;
        case EFFECT_STOPPED:
            world->stopped++;
            break;
        case EFFECT_STORE:
            world->store[effect->store.lane].due = true;
            world->store[effect->store.lane].last_seq = effect->store.last_seq;
            break;
        case EFFECT_SEND: {
            assert_true(world->sends_count < SENDS_MAX);
            struct sent *sent = &world->sends[world->sends_count++];
            *sent = (struct sent){.slot = effect->send.slot, .qos = effect->send.qos, .retain = effect->send.retain};
            assert_int_equal(strlen(effect->send.payload), effect->send.size);
            snprintf(sent->topic, sizeof(sent->topic), "%s", effect->send.topic + strlen("yanhuo/v1/gw/"));
            snprintf(sent->payload, sizeof(sent->payload), "%.511s", effect->send.payload);
            break;
        }
        default:
            break;
        }
    }
}

static void tick(struct world *world) {
    step(world, &(struct event){.kind = EVENT_TICK});
}

/* Steps until nothing is due at this time; a machine that always wants more is a busy loop. */
static void settle(struct world *world) {
    for (unsigned i = 0; engine_next_wake(world->engine) <= world->ms * 1000; i++) {
        assert_true(i < 1000);
        tick(world);
    }
}

static void answer_store(struct world *world) {
    for (unsigned lane = 0; lane < LANES_COUNT; lane++)
        while (world->store[lane].due) {
            world->store[lane].due = false;
            step(world, &(struct event){.kind = EVENT_STORED, .stored = {.lane = (enum lane)lane, .last_seq = world->store[lane].last_seq}});
        }
}

static void advance(struct world *world, int64_t ms) {
    int64_t end = world->ms + ms;
    for (unsigned i = 0; i < 100000; i++) {
        settle(world);
        int64_t wake = engine_next_wake(world->engine);
        if (wake == NOW_NEVER || wake > end * 1000)
            break;
        world->ms = (wake + 999) / 1000;
        tick(world);
        answer_store(world);
    }
    world->ms = end;
}

static void begin(struct world *world) {
    arena_init(&world->arena);
    trace_init(&world->trace);
    world->engine = engine_create(&world->site.config, &world->site.directory, &world->arena, &world->trace);
    step(world, &(struct event){.kind = EVENT_START, .start = {.start = 0xAB, .seed = 7, .image = &world->site.image}});
    settle(world);
    answer_store(world);
}

static void up(struct world *world) {
    step(world, &(struct event){.kind = EVENT_LINK_UP, .link_up = {.receive_max = 65535, .version = 5}});
    settle(world);
}

static void down(struct world *world, enum link_reason reason) {
    for (unsigned i = 0; i < world->sends_count; i++)
        world->sends[i].answered = true;
    step(world, &(struct event){.kind = EVENT_LINK_DOWN, .link_down = {.reason = reason, .text = ""}});
}

static void answer(struct world *world, unsigned index, enum ack_result result) {
    assert_false(world->sends[index].answered);
    world->sends[index].answered = true;
    step(world, &(struct event){.kind = EVENT_ACKED, .acked = {.slot = world->sends[index].slot, .result = result, .code = 0x87}});
    settle(world);
}

static void acknowledge_all(struct world *world) {
    for (unsigned i = 0; i < world->sends_count; i++)
        if (!world->sends[i].answered)
            answer(world, i, ACK_OK);
}

static void poll(struct world *world, uint16_t device, double value) {
    struct polled polled = {.device = device, .status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .now = site_now(world->ms), .count = 1};
    polled.readings[0] = (struct reading){.point = 0, .value = {.kind = VALUE_NUMBER, .number = value}};
    step(world, &(struct event){.kind = EVENT_POLLED, .polled = &polled});
    settle(world);
}

static struct world *world_new(void) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    site_init(&world->site);
    world->ms = 1000;
    return world;
}

static void world_end(struct world *world) {
    arena_done(&world->arena);
    free(world);
}

static const struct engine_counters *counters(const struct world *world) {
    return engine_counters(world->engine);
}

/* ---- the order ---- */

static void assert_topics(const struct world *world, unsigned from, const char *const *topics, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        assert_true(from + i < world->sends_count);
        assert_string_equal(world->sends[from + i].topic, topics[i]);
    }
}

static void test_order_after_link_up(void **state) {
    (void)state;
    struct world *world = world_new();
    begin(world);
    assert_int_equal(world->connects, 1); /* at once */
    poll(world, 1, 1);                    /* before the link: backlog */
    up(world);
    static const char *const expected[] = {
        "status",        "alarm/device-0/alarm-0", "alarm/device-1/alarm-1", "alarm/device-2/alarm-2", "alarm/device-3/alarm-3",
        "meta/device-0", "meta/device-1",          "meta/device-2",          "meta/device-3",          "health",
        "event",         "reading/device-1"};
    assert_int_equal(world->sends_count, 12);
    assert_topics(world, 0, expected, 12);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(world->sends[i].qos, i == 9 ? 0 : 1);
        assert_true(world->sends[i].retain == (i < 10));
    }
    assert_non_null(strstr(world->sends[10].payload, "\"replayed\":true"));
    assert_non_null(strstr(world->sends[11].payload, "\"replayed\":true"));
    acknowledge_all(world);
    poll(world, 2, 1);
    assert_string_equal(world->sends[12].topic, "reading/device-2");
    assert_non_null(strstr(world->sends[12].payload, "\"replayed\":false"));
    acknowledge_all(world);
    assert_int_equal(counters(world)->uplinks[0].in_flight, 0);
    assert_int_equal(counters(world)->uplinks[0].acked, 13);
    world_end(world);
}

static void quiet(struct world *world) { /* connected, and everything said */
    begin(world);
    up(world);
    acknowledge_all(world);
    acknowledge_all(world);
    assert_int_equal(counters(world)->uplinks[0].in_flight, 0);
}

static void test_window_and_reserved_slots(void **state) {
    (void)state;
    struct world *world = world_new();
    quiet(world);
    unsigned from = world->sends_count;
    for (unsigned i = 0; i < 50; i++)
        poll(world, 1, i % 10);
    assert_int_equal(world->sends_count - from, 20 - WINDOW_RESERVED); /* readings leave room */
    assert_int_equal(counters(world)->uplinks[0].in_flight, 12);
    poll(world, 0, 11); /* fire */
    static const char *const expected[] = {"event", "alarm/device-0/alarm-0"};
    assert_topics(world, from + 12, expected, 2); /* at once, ahead of the readings that wait */
    assert_int_equal(world->sends_count - from, 14);
    answer(world, from, ACK_OK); /* a slot of a reading; still more than the readings' share is in flight */
    assert_int_equal(world->sends_count - from, 14);
    acknowledge_all(world);
    assert_int_equal(world->sends_count - from, 53);        /* 51 polls, an event, a state */
    for (unsigned i = 0, expected_value = 0; i < 53; i++) { /* in order */
        const char *value = strstr(world->sends[from + i].payload, "\"v\":");
        if (strcmp(world->sends[from + i].topic, "reading/device-1") != 0)
            continue;
        assert_non_null(value);
        assert_int_equal(strtol(value + 4, NULL, 10), (long)(expected_value++ % 10));
    }
    world_end(world);
}

static void test_small_windows(void **state) {
    (void)state;
    static const uint16_t windows[] = {1, 2, 3, 4, 16, 17};
    static const unsigned readings[] = {1, 2, 3, 3, 12, 9};
    for (unsigned i = 0; i < 6; i++) {
        struct world *world = world_new();
        world->site.uplinks[0].mqtt.window = windows[i];
        begin(world);
        up(world);
        for (unsigned k = 0; k < 40; k++)
            acknowledge_all(world);
        unsigned from = world->sends_count;
        for (unsigned k = 0; k < 30; k++)
            poll(world, 1, 1);
        assert_int_equal(world->sends_count - from, readings[i]);
        world_end(world);
    }
}

static void test_receive_maximum(void **state) {
    (void)state;
    struct world *world = world_new();
    begin(world);
    step(world, &(struct event){.kind = EVENT_LINK_UP, .link_up = {.receive_max = 3, .version = 5}});
    settle(world);
    assert_int_equal(world->sends_count, 3);
    assert_int_equal(counters(world)->uplinks[0].window, 3);
    world_end(world);
}

/* A window that is full is not a reason to wake up: health and rows wait for an answer. */
static void test_full_window_is_no_busy_loop(void **state) {
    (void)state;
    struct world *world = world_new();
    world->site.uplinks[0].mqtt.window = 4;
    begin(world);
    up(world);
    assert_int_equal(counters(world)->uplinks[0].in_flight, 4);
    advance(world, 300000); /* settle fails when it does not come to rest */
    answer_store(world);
    assert_int_equal(counters(world)->uplinks[0].in_flight, 4);
    world_end(world);
}

/* ---- what becomes of it ---- */

static void test_refused(void **state) {
    (void)state;
    struct world *world = world_new();
    quiet(world);
    unsigned from = world->sends_count;
    poll(world, 1, 1);
    poll(world, 1, 2);
    answer(world, from, ACK_REFUSED);
    answer(world, from + 1, ACK_REFUSED);
    assert_int_equal(counters(world)->uplinks[0].refused, 2);
    assert_int_equal(counters(world)->uplinks[0].in_flight, 0);
    assert_int_equal(world->disconnects, 0);
    const char *first = strstr(world->said, "refuses a message: reason 0x87; check what this user may publish under yanhuo/v1/gw/#");
    assert_non_null(first);
    assert_null(strstr(first + 1, "refuses a message")); /* said once */
    poll(world, 1, 3);
    assert_int_equal(world->sends_count, from + 3); /* not again, and the next goes on */
    world_end(world);
}

static void test_lost_retained_state_is_sent_again(void **state) {
    (void)state;
    struct world *world = world_new();
    begin(world);
    up(world);
    answer(world, 0, ACK_LOST); /* status */
    answer(world, 1, ACK_LOST); /* a fire alarm's state */
    answer(world, 5, ACK_LOST); /* meta */
    answer(world, 9, ACK_LOST); /* health: the next one says the same */
    static const char *const expected[] = {"status", "alarm/device-0/alarm-0", "meta/device-0"};
    assert_topics(world, world->sends_count - 3, expected, 3);
    assert_int_equal(world->disconnects, 0);
    assert_int_equal(counters(world)->uplinks[0].resent, 4);
    world_end(world);
}

static void test_lost_entries_are_sent_again(void **state) {
    (void)state;
    struct world *world = world_new();
    quiet(world);
    unsigned from = world->sends_count;
    for (unsigned i = 0; i < 5; i++)
        poll(world, 1, i);
    answer(world, from + 1, ACK_OK);
    answer(world, from, ACK_LOST);
    assert_int_equal(world->disconnects, 1);
    answer(world, from + 2, ACK_LOST); /* the link tells of each before it ends */
    answer(world, from + 3, ACK_LOST);
    down(world, LINK_CLOSED);
    assert_int_equal(counters(world)->uplinks[0].in_flight, 0);
    advance(world, 2000);
    assert_int_equal(world->connects, 2);
    from = world->sends_count;
    up(world);
    acknowledge_all(world);
    advance(world, 5000);
    assert_int_equal(world->disconnects, 1); /* what was lost on the last connection does not end this one */
    assert_int_equal(counters(world)->uplinks[0].up, 1);
    unsigned again = 0;
    for (unsigned i = from; i < world->sends_count; i++)
        again += strcmp(world->sends[i].topic, "reading/device-1") == 0 && strstr(world->sends[i].payload, "\"replayed\":true");
    assert_int_equal(again, 5); /* the second, acknowledged behind a hole, too: its id makes that harmless */
    world_end(world);
}

static void test_answers_of_a_connection_that_is_gone(void **state) {
    (void)state;
    struct world *world = world_new();
    quiet(world);
    unsigned from = world->sends_count;
    poll(world, 1, 1);
    uint16_t slot = world->sends[from].slot;
    down(world, LINK_LOST);
    step(world, &(struct event){.kind = EVENT_ACKED, .acked = {.slot = slot, .result = ACK_LOST}});
    step(world, &(struct event){.kind = EVENT_ACKED, .acked = {.slot = slot, .result = ACK_OK}});
    advance(world, 2000);
    up(world);
    bool again = false;
    for (unsigned i = from + 1; i < world->sends_count; i++)
        again = again || strcmp(world->sends[i].topic, "reading/device-1") == 0;
    assert_true(again);
    world_end(world);
}

/* ---- the pause ---- */

static int64_t pause_ms(struct world *world) {
    unsigned connects = world->connects;
    down(world, LINK_REFUSED_TCP);
    int64_t from = world->ms;
    while (world->connects == connects) {
        assert_true(world->ms - from < 100000);
        world->ms = (engine_next_wake(world->engine) + 999) / 1000;
        tick(world);
        answer_store(world);
    }
    return world->ms - from;
}

static void test_backoff(void **state) {
    (void)state;
    struct world *world = world_new();
    begin(world);
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
    up(world);                                                              /* a short connection does not make it impatient */
    world->ms += 29000;
    assert_true(pause_ms(world) >= 45000);
    up(world);
    world->ms += 30000;
    assert_true(pause_ms(world) <= 1251);
    world_end(world);
}

/* A connection that stood for days and is given up by us is as steady as one that broke. */
static void test_backoff_after_giving_up(void **state) {
    (void)state;
    struct world *world = world_new();
    begin(world);
    for (unsigned i = 0; i < 8; i++)
        (void)pause_ms(world);
    up(world);
    acknowledge_all(world);
    acknowledge_all(world);
    world->ms += 3600000;
    tick(world);
    acknowledge_all(world);
    unsigned from = world->sends_count;
    poll(world, 1, 1);
    answer(world, from, ACK_LOST);
    assert_int_equal(world->disconnects, 1);
    assert_true(pause_ms(world) <= 1251);
    world_end(world);
}

/* ---- the backlog from the store ---- */

static size_t rows_put(uint8_t *bytes, size_t size, uint64_t first_seq, uint64_t last_seq) {
    struct bytes_writer writer, body;
    uint8_t packed[64];
    bytes_writer_init(&writer, bytes, size);
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        bytes_writer_init(&body, packed, sizeof(packed));
        entry_put_reading(&body, 0, &(struct packed_reading){.series = 4, .at_ms = 5, .value = {.kind = VALUE_INTEGER, .integer = (int64_t)seq}});
        struct entry entry = {
            .lane = LANE_READING, .kind = ENTRY_READINGS, .uplinks = 2, .seq = seq, .body = packed, .body_size = (uint32_t)body.length};
        assert_true(entry_seal(&entry, &writer));
    }
    return writer.length;
}

static void give_rows(struct world *world, const uint8_t *bytes, size_t size, uint64_t after, uint64_t through, enum err err) {
    step(world,
         &(struct event){.kind = EVENT_ROWS,
                         .rows = {.lane = world->query_lane, .err = err, .bytes = bytes, .size = size, .after_seq = after, .through_seq = through}});
    settle(world);
}

/* Answers every query: fire and event lanes have nothing. */
static void skip_to_readings(struct world *world) {
    while (world->query_lane != LANE_READING) {
        unsigned queries = world->queries;
        give_rows(world, NULL, 0, world->query_after, world->query_through, ERR_OK);
        assert_true(world->queries > queries);
    }
}

static unsigned readings_sent(const struct world *world, unsigned from) {
    unsigned count = 0;
    for (unsigned i = from; i < world->sends_count; i++)
        count += strncmp(world->sends[i].topic, "reading/", 8) == 0;
    return count;
}

static void old_store(struct world *world) {
    world->site.image.next_seq = 101;
    begin(world);
    up(world);
    acknowledge_all(world);
    skip_to_readings(world);
    acknowledge_all(world); /* what this start says about itself */
    assert_int_equal(world->query_after, 0);
    assert_true(world->query_through >= 100);
}

static void test_backlog_from_the_store(void **state) {
    (void)state;
    struct world *world = world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned from = world->sends_count;
    size_t size = rows_put(bytes, sizeof(bytes), 1, 40);
    give_rows(world, bytes, size, 0, 60, ERR_OK);
    assert_int_equal(readings_sent(world, from), 5); /* a quarter of the window of 20 */
    for (unsigned i = 0; i < 50; i++)
        acknowledge_all(world);
    assert_int_equal(readings_sent(world, from), 40);
    assert_int_equal(world->query_after, 60); /* 41 to 60 are not there */
    give_rows(world, NULL, 0, 60, world->query_through, ERR_OK);
    unsigned queries = world->queries;
    advance(world, 10000);
    assert_int_equal(world->queries, queries); /* all is looked at */
    world_end(world);
}

static void test_backlog_slows_down_for_a_slow_link(void **state) {
    (void)state;
    struct world *world = world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned from = world->sends_count;
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 1, 40), 0, 60, ERR_OK);
    assert_int_equal(readings_sent(world, from), 5);
    world->ms += 251;
    for (unsigned i = from; i < from + 5; i++)
        answer(world, i, ACK_OK);
    assert_int_equal(readings_sent(world, from), 6); /* 5, 2, 1: one at a time */
    for (unsigned i = from + 5; i < from + 45 && i < world->sends_count; i++)
        answer(world, i, ACK_OK);
    assert_int_equal(readings_sent(world, from), 40); /* prompt again, and it gets there */
    world_end(world);
}

/* The link broke while the store was asked, and the answer comes to the next connection, which has to begin further below. */
static void test_rows_of_a_connection_that_is_gone(void **state) {
    (void)state;
    struct world *world = world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned from = world->sends_count;
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 1, 5), 0, 5, ERR_OK);
    assert_int_equal(readings_sent(world, from), 5); /* in flight */
    answer(world, from, ACK_OK);                     /* room to ask on */
    assert_int_equal(world->query_after, 5);
    down(world, LINK_LOST);
    advance(world, 2000);
    up(world);
    from = world->sends_count;
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 6, 10), 5, 10, ERR_OK); /* to the old question */
    acknowledge_all(world);
    for (unsigned i = 0; i < 20 && world->query_lane != LANE_READING; i++) {
        give_rows(world, NULL, 0, world->query_after, world->query_through, ERR_OK);
        acknowledge_all(world);
    }
    assert_int_equal(readings_sent(world, from), 0);
    assert_int_equal(world->query_lane, LANE_READING);
    assert_int_equal(world->query_after, 1); /* 2 to 5 are not lost */
    world_end(world);
}

static void test_store_that_cannot_answer(void **state) {
    (void)state;
    struct world *world = world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned queries = world->queries;
    give_rows(world, NULL, 0, 0, 100, ERR_IO);
    assert_int_equal(world->queries, queries); /* not at once */
    advance(world, 1100);
    assert_int_equal(world->queries, queries + 1);
    give_rows(world, NULL, 0, 0, 100, ERR_IO);
    for (unsigned i = 0; i < 40; i++) /* readings fill their share of the window, so that the backlog cannot ask */
        poll(world, 1, 1);
    advance(world, 30000);
    unsigned from = world->sends_count;
    acknowledge_all(world);
    assert_true(world->queries > queries + 1);
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 1, 3), 0, 100, ERR_OK);
    acknowledge_all(world);
    assert_true(world->sends_count >= from + 3);
    world_end(world);
}

/* ---- the end ---- */

static void test_stop(void **state) {
    (void)state;
    struct world *world = world_new();
    quiet(world);
    unsigned from = world->sends_count;
    step(world, &(struct event){.kind = EVENT_STOP});
    settle(world);
    static const char *const expected[] = {"event", "status"};
    assert_int_equal(world->sends_count, from + 2);
    assert_topics(world, from, expected, 2);
    assert_non_null(strstr(world->sends[from].payload, "\"what\":\"stopped\""));
    assert_non_null(strstr(world->sends[from + 1].payload, "\"status\":\"offline\""));
    answer_store(world);
    assert_int_equal(world->disconnects, 0); /* acknowledgements first */
    acknowledge_all(world);
    assert_int_equal(world->disconnects, 1);
    assert_int_equal(world->stopped, 0);
    down(world, LINK_CLOSED);
    settle(world);
    assert_int_equal(world->stopped, 1);
    assert_int_equal(engine_next_wake(world->engine), NOW_NEVER);
    world_end(world);
}

static void test_stop_does_not_wait_for_a_dead_link(void **state) {
    (void)state;
    struct world *world = world_new();
    quiet(world);
    step(world, &(struct event){.kind = EVENT_STOP});
    answer_store(world);
    settle(world);
    advance(world, 1900);
    assert_int_equal(world->disconnects, 0);
    advance(world, 200);
    assert_int_equal(world->disconnects, 1);
    down(world, LINK_LOST);
    settle(world);
    assert_int_equal(world->stopped, 1);
    world_end(world);

    world = world_new(); /* nor for one that is being made */
    begin(world);
    step(world, &(struct event){.kind = EVENT_STOP});
    answer_store(world);
    advance(world, 2100);
    assert_int_equal(world->disconnects, 1);
    down(world, LINK_CLOSED);
    settle(world);
    assert_int_equal(world->stopped, 1);
    world_end(world);

    world = world_new(); /* nor for the next try */
    begin(world);
    down(world, LINK_UNREACHABLE);
    step(world, &(struct event){.kind = EVENT_STOP});
    answer_store(world);
    settle(world);
    assert_int_equal(world->stopped, 1);
    world_end(world);
}

static void test_cursor_is_told_now_and_then(void **state) {
    (void)state;
    struct world *world = world_new();
    quiet(world);
    advance(world, 3000);
    unsigned before = world->cursors;
    for (unsigned i = 0; i < 100; i++) {
        poll(world, 1, i);
        acknowledge_all(world);
        advance(world, 10);
    }
    advance(world, 2000);
    assert_true(world->cursors > before && world->cursors <= before + 2);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_after_link_up),
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
        cmocka_unit_test(test_backlog_from_the_store),
        cmocka_unit_test(test_backlog_slows_down_for_a_slow_link),
        cmocka_unit_test(test_rows_of_a_connection_that_is_gone),
        cmocka_unit_test(test_store_that_cannot_answer),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_does_not_wait_for_a_dead_link),
        cmocka_unit_test(test_cursor_is_told_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
