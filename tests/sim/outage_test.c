/* SPDX-License-Identifier: Apache-2.0 */
/* A long outage at a hundred readings a second, then everything is delivered while live data flows. Twenty-four hours with YANHUO_SOAK,
 * forty minutes otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world_state.h"

#define OUTAGE_BEGIN_MS 20000
#define HOUR_MS INT64_C(3600000)

/* The first message from `from` on that has all three in it and was received; NULL when there is none. */
static const struct message *find(const struct world *world, uint32_t from, const char *topic, const char *words, const char *more) {
    for (uint32_t i = from; i < world->messages_count; i++) {
        const struct message *message = &world->messages[i];
        if (message->received_us != NOW_NEVER && strstr(message->topic, topic) && strstr(message->payload, words) && strstr(message->payload, more))
            return message;
    }
    return NULL;
}

/* Changes the second detector and returns how long after the step that judged it the event was at the broker. */
static int64_t live_alarm_us(struct world *world, const char *value, const char *state) {
    uint32_t from = world->messages_count;
    uint64_t before = world_counters(world)->alarm_transitions;
    world_set(world, "smoke-2/smoke", value);
    while (world_counters(world)->alarm_transitions == before)
        assert_true(world_step_before(world, world_ms(world) + 3000));
    int64_t judged_us = world->now_us;
    char words[64];
    snprintf(words, sizeof(words), "\"state\":\"%s\"", state);
    while (!find(world, from, "/event", "\"alarm\":\"fire-2\"", words))
        assert_true(world_step_before(world, world_ms(world) + 3000));
    const struct message *message = find(world, from, "/event", "\"alarm\":\"fire-2\"", words);
    assert_false(message->replayed);
    return message->received_us - judged_us;
}

static unsigned replayed_readings(const struct world *world, uint32_t from) {
    unsigned count = 0;
    for (uint32_t i = from; i < world->messages_count; i++)
        count += world->messages[i].received_us != NOW_NEVER && world->messages[i].replayed && strstr(world->messages[i].topic, "/reading/");
    return count;
}

static void expect_fire_of_the_outage(const struct world *world, uint32_t from, const char *state, int64_t at_ms) {
    char words[64], time[40];
    snprintf(words, sizeof(words), "\"state\":\"%s\"", state);
    const struct message *message = find(world, from, "/event", "\"alarm\":\"fire-1\"", words);
    assert_non_null(message);
    assert_true(message->replayed);
    assert_false(message->retain);
    assert_non_null(strstr(message->payload, "\"replayed\":true"));
    struct text text;
    text_init(&text, time, sizeof(time));
    text_add_time(&text, (WORLD_WALL_MS + at_ms) / 60000 * 60000, 480);
    time[strlen("2026-01-01T08:00")] = '\0'; /* of that minute: it was judged with the next poll */
    if (!strstr(message->payload, time))
        world_fail(world, "no %s in %s", time, message->payload);
}

static void s107_a_day_without_network(void **state) {
    (void)state;
    int64_t outage_ms = world_environment("YANHUO_SOAK") ? 24 * HOUR_MS : 40 * 60000;
    struct world *world = world_open("outage", 107);
    world_check_every(world, 5000);
    world->quiet = outage_ms > HOUR_MS; /* its log would be too long */
    world->forgets = true;
    world_start(world);
    world_run_until(world, OUTAGE_BEGIN_MS);
    world_broker_down(world, "city", LINK_UNREACHABLE);
    int64_t fire_ms = OUTAGE_BEGIN_MS + outage_ms / 2 / 60000 * 60000 + 5000; /* 25 s into a minute */
    world_run_until(world, fire_ms);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, fire_ms + 120000);
    world_set(world, "smoke-1/smoke", "normal");
    world_run_until(world, OUTAGE_BEGIN_MS + outage_ms);
    uint32_t from = world->messages_count;
    world_broker_up(world, "city");
    while (!world_counters(world)->uplinks[0].up)
        assert_true(world_step_before(world, world_ms(world) + 80000));
    int64_t up_ms = world_ms(world), worst_us = 0;
    unsigned alarms = 0, backlog = (unsigned)(outage_ms / 5000 * 10);
    while (replayed_readings(world, from) < backlog) { /* at the default backlog_rate */
        assert_true(world_ms(world) - up_ms < backlog * 10 + 20000);
        world_run_until(world, world_ms(world) + 250 + (int64_t)prng_below(&world->prng, 3000));
        int64_t took_us = live_alarm_us(world, alarms % 2 ? "normal" : "alarm", alarms % 2 ? "returned" : "unacknowledged");
        worst_us = took_us > worst_us ? took_us : worst_us;
        alarms++;
    }
    int64_t drained_ms = world_ms(world) - up_ms;
    printf("%.1f h without network: %u replayed messages of readings in %.0f s, %u live alarms meanwhile, the latest %.1f ms after it was judged\n",
           (double)outage_ms / (double)HOUR_MS, replayed_readings(world, from), (double)drained_ms / 1e3, alarms, (double)worst_us / 1e3);
    assert_true(worst_us <= 20000);
    assert_true(alarms > 15);
    assert_true(drained_ms > backlog * 10 - 1000); /* no faster than 100 a second */
    expect_fire_of_the_outage(world, from, "unacknowledged", fire_ms);
    expect_fire_of_the_outage(world, from, "returned", fire_ms + 120000);
    for (uint32_t i = from; i < world->messages_count; i++) /* the fire is over: nothing that is retained says otherwise */
        if (world->messages[i].retain && strstr(world->messages[i].topic, "/alarm/smoke-1/fire-1"))
            assert_non_null(strstr(world->messages[i].payload, "\"state\":\"returned\""));
    for (uint32_t i = from; i < world->messages_count; i++)
        assert_false(world->messages[i].retain && strstr(world->messages[i].payload, "\"replayed\":true"));
    if (alarms % 2)
        (void)live_alarm_us(world, "normal", "returned");
    world_settle(world); /* every entry of the whole story was delivered, or told as lost: of the latter there are none */
    assert_int_equal(world_counters(world)->evicted[LANE_READING] + world_counters(world)->lost[LANE_READING], 0);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(s107_a_day_without_network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
