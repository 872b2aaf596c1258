/* SPDX-License-Identifier: Apache-2.0 */
/* A list of brokers: which one is next and when; and what is written of connections that break again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/uplinks/uplink.h"
#include "uplink_rig.h"

static struct world *world_with(uint8_t brokers) {
    static const char *const hosts[BROKERS_MAX] = {"one.example", "two.example", "three.example", "four.example"};
    struct world *world = link_world_new();
    struct config_mqtt *mqtt = &world->site.uplinks[0].mqtt;
    mqtt->client_id = "gw-uplink-0";
    mqtt->brokers_count = brokers;
    for (unsigned i = 0; i < brokers; i++)
        mqtt->brokers[i] = (struct config_broker){.host = hosts[i], .port = (uint16_t)(8883 + i), .tls = true};
    link_begin(world);
    return world;
}

/* Waits for the next CONNECT; returns after how long it came. */
static int64_t wait_connect(struct world *world, unsigned connects) {
    int64_t from = world->ms;
    while (world->connects == connects) {
        assert_true(world->ms - from < 100000);
        world->ms = (engine_next_wake(world->engine) + 999) / 1000;
        link_tick(world);
        link_answer_store(world);
    }
    return world->ms - from;
}

static int64_t fail_link(struct world *world, enum link_reason reason) {
    unsigned connects = world->connects;
    link_down(world, reason);
    return wait_connect(world, connects);
}

static unsigned count_said(const struct world *world, const char *words) {
    unsigned count = 0;
    for (const char *at = world->said; (at = strstr(at, words)); at++)
        count++;
    return count;
}

static void up_for(struct world *world, int64_t ms) {
    link_up(world);
    link_acknowledge_all(world);
    link_acknowledge_all(world);
    world->ms += ms;
}

/* One after the other with the first pause; a round counts as one failure; each broker's trouble is said once. */
static void test_rounds(void **state) {
    (void)state;
    struct world *world = world_with(3);
    assert_int_equal(world->broker, 0);
    static const int64_t rounds_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (unsigned round = 0; round < 8; round++) {
        for (uint8_t broker = 1; broker <= 2; broker++) {
            int64_t pause = fail_link(world, broker == 1 ? LINK_REFUSED_TCP : LINK_UNREACHABLE);
            assert_in_range(pause, 750, 1251);
            assert_int_equal(world->broker, broker);
            assert_int_equal(link_counters(world)->uplinks[0].broker, broker);
        }
        int64_t pause = fail_link(world, LINK_CERTIFICATE);
        assert_in_range(pause, rounds_ms[round] * 3 / 4, rounds_ms[round] * 5 / 4 + 1);
        assert_int_equal(world->broker, 0);
    }
    assert_int_equal(count_said(world, " down "), 3);
    assert_int_equal(count_said(world, "down refused: nobody listens at that address and port (next try at two.example:8884 in "), 1);
    assert_int_equal(count_said(world, "down certificate"), 1);
    link_world_end(world);
}

/* The second works: it is used as long as it does, and the log says which one it is (health: restart_test.c in tests/io). */
static void test_works_at_the_second(void **state) {
    (void)state;
    struct world *world = world_with(2);
    (void)fail_link(world, LINK_REFUSED_TCP);
    link_up(world);
    assert_int_equal(count_said(world, "uplink uplink-0 up mqtt=5 window=20 broker=two.example:8884\n"), 1);
    for (unsigned i = 0; i < 10; i++)
        link_acknowledge_all(world);
    for (unsigned i = 0; i < 24; i++) {
        world->ms += 3600000;
        link_tick(world);
        link_acknowledge_all(world);
    }
    assert_int_equal(world->connects, 2);
    assert_int_equal(world->disconnects, 0); /* nothing that works is given up */
    assert_in_range(fail_link(world, LINK_LOST), 750, 1251);
    assert_int_equal(world->broker, 0);
    link_world_end(world);
}

/* Lost after minutes: the next one. Lost after ten: the first, even when it is not the next. */
static void test_back_to_the_first(void **state) {
    (void)state;
    struct world *world = world_with(4);
    (void)fail_link(world, LINK_REFUSED_TCP);
    up_for(world, UPLINK_AWAY_US / 1000 - 1);
    (void)fail_link(world, LINK_LOST);
    assert_int_equal(world->broker, 2);
    up_for(world, UPLINK_AWAY_US / 1000);
    (void)fail_link(world, LINK_LOST);
    assert_int_equal(world->broker, 0);
    up_for(world, UPLINK_AWAY_US / 1000);
    (void)fail_link(world, LINK_LOST); /* the first itself is lost: not again at once */
    assert_int_equal(world->broker, 1);
    link_world_end(world);
}

/* One that takes connections and drops them, and one that is not there: still no hurry. */
static void test_flapping_list_backs_off(void **state) {
    (void)state;
    struct world *world = world_with(2);
    unsigned connects = world->connects;
    int64_t from = world->ms;
    while (world->ms - from < 300000) {
        if (world->broker == 1)
            link_up(world);
        (void)fail_link(world, world->broker == 1 ? LINK_LOST : LINK_REFUSED_TCP);
    }
    assert_in_range(world->connects - connects, 40, 100);
    link_world_end(world);
}

/* Two gateways with one client id: the third short connection says so, then there is silence until one holds. */
static void test_same_client_id(void **state) {
    (void)state;
    struct world *world = world_with(1);
    unsigned connects = world->connects;
    int64_t from = world->ms;
    for (unsigned i = 0; i < 50; i++) {
        up_for(world, 5000);
        link_tick(world);
        (void)fail_link(world, LINK_LOST);
    }
    assert_true(world->ms - from >= 50 * 5000);
    assert_int_equal(world->connects, connects + 50);
    assert_true(world->ms - from - 50 * 5000 > 40 * 6000); /* paused 6 to 10 s each time but the first */
    assert_int_equal(count_said(world, "3 connections in a row broke within 30 s; if another gateway or program uses the client_id 'gw-uplink-0'"), 1);
    assert_int_equal(count_said(world, " down lost"), 3);
    assert_int_equal(count_said(world, " up mqtt"), 3);
    link_up(world);
    link_acknowledge_all(world);
    link_acknowledge_all(world);
    link_advance(world, 29999);
    assert_int_equal(count_said(world, " holds: up for 30 s"), 0);
    link_advance(world, 1);
    assert_int_equal(count_said(world, " holds: up for 30 s"), 1);
    (void)fail_link(world, LINK_LOST);
    up_for(world, 1);
    assert_int_equal(count_said(world, " down lost"), 4);
    assert_int_equal(count_said(world, " up mqtt"), 4);
    link_world_end(world);
}

/* Its backlog leaves at the configured rate, events before the rest, and nothing turns in circles meanwhile (link_advance). */
static void test_backlog_rate(void **state) {
    (void)state;
    struct world *world = link_world_new();
    world->site.uplinks[0].mqtt.backlog_rate = 20;
    link_begin(world);
    for (unsigned i = 0; i < 300; i++)
        link_poll(world, 1, i % 7);
    link_poll(world, 0, 11); /* fire */
    link_up(world);
    unsigned readings_at_once = 0, fire = 0;
    for (unsigned i = 0; i < 20; i++)
        link_acknowledge_all(world);
    for (unsigned i = 0; i < world->sends_count; i++) {
        readings_at_once += strncmp(world->sends[i].topic, "reading/", 8) == 0;
        fire += strcmp(world->sends[i].topic, "event") == 0 && strstr(world->sends[i].payload, "\"class\":\"fire\"") != NULL;
    }
    assert_int_equal(fire, 1);
    assert_int_equal(readings_at_once, 0); /* the events have used what there was */
    unsigned from = world->sends_count;
    int64_t begin = world->ms;
    while (world->ms - begin < 5000) {
        link_advance(world, 10);
        link_acknowledge_all(world);
    }
    unsigned replayed = 0;
    for (unsigned i = from; i < world->sends_count; i++)
        replayed += strncmp(world->sends[i].topic, "reading/", 8) == 0 && strstr(world->sends[i].payload, "\"replayed\":true") != NULL;
    assert_in_range(replayed, 90, 101); /* twenty a second, less what the events had borrowed */
    from = world->sends_count;
    link_poll(world, 2, 1); /* live is not limited */
    assert_true(world->sends_count > from);
    link_world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_works_at_the_second),
        cmocka_unit_test(test_back_to_the_first),
        cmocka_unit_test(test_flapping_list_backs_off),
        cmocka_unit_test(test_same_client_id),
        cmocka_unit_test(test_backlog_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
