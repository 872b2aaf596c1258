/* SPDX-License-Identifier: Apache-2.0 */
/* Poller and engine take all their memory before the start: stories with alarms, actions, commands, a link that comes and goes, a store
 * that fails, devices that die, and not one allocation meanwhile. Counted by the address sanitizer's hook where it is built in, by the C
 * library's own books otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>

#include <cmocka.h>

#include "poller_rig.h"
#include "uplink_rig.h"

static unsigned long long allocations;

void __sanitizer_malloc_hook(const volatile void *pointer, size_t size);
void __sanitizer_malloc_hook(const volatile void *pointer, size_t size) {
    (void)pointer, (void)size;
    allocations++;
}

/* Grows with each allocation that is not given back, and under the sanitizer with each one at all. */
static unsigned long long book(void) {
    return allocations + mallinfo2().uordblks;
}

static void test_the_counter_counts(void **state) {
    (void)state;
    unsigned long long before = book();
    void *volatile pointer = malloc(1000);
    assert_true(book() > before);
    free(pointer);
}

static void command(struct world *world, enum command_verb verb, uint32_t number) {
    struct command command = {.verb = verb, .channel = CHANNEL_SOCKET, .authorised = true, .fields = FIELD_DEVICE | FIELD_ALARM};
    struct now now = site_now(world->ms);
    command.issued_ms = now.wall_ms;
    command.expires_ms = now.wall_ms + 1000;
    strcpy(command.id, "c-");
    for (unsigned i = 2; i < 10; i++, number /= 10)
        command.id[i] = (char)('0' + number % 10);
    strcpy(command.by, "王师傅");
    strcpy(command.peer, "socket uid 0");
    strcpy(command.device, "device-0");
    strcpy(command.alarm, "alarm-0");
    struct event event = {.kind = EVENT_COMMAND, .command = &command};
    link_step(world, &event);
}

static void test_engine(void **state) {
    (void)state;
    struct world *world = link_world_new();
    world->site.config.actions_count = 1;
    world->site.alarms[0].latch = true;
    world->site.points[1][3].writable = world->site.points[1][3].verify = true;
    link_quiet(world);
    unsigned long long before = book();
    for (unsigned round = 0; round < 300; round++) {
        for (uint16_t device = 0; device < SITE_DEVICES; device++)
            link_poll(world, device, (round / 5 + device) % 3 ? 5 : 15);
        link_settle(world);
        if (round % 7 == 3)
            command(world, COMMAND_ACKNOWLEDGE, round);
        if (round % 7 == 5)
            command(world, COMMAND_RESET, round);
        if (round % 50 == 20)
            link_down(world, LINK_LOST);
        link_advance(world, 1000);
        if (round % 50 == 23) {
            link_advance(world, 70000);
            link_up(world);
        }
        link_acknowledge_all(world);
        world->sends_count = 0;
        world->said[0] = '\0';
    }
    assert_int_equal(book(), before);
    assert_in_range(link_counters(world)->alarm_transitions, 100, 100000); /* it was a story */
    assert_in_range(link_counters(world)->uplinks[0].acked, 1000, 100000);
    link_world_end(world);
}

static void test_poller(void **state) {
    (void)state;
    static struct rig rig;
    rig_init(&rig, BUS_SERIAL, 6);
    rig_begin(&rig, 6);
    rig_run(&rig, 5 * SECOND);
    unsigned long long before = book();
    for (unsigned round = 0; round < 60; round++) {
        rig.slaves[round % 6].silent = round % 3 == 0;
        rig.slaves[(round + 1) % 6].corrupt = round % 5 == 0;
        rig.slaves[(round + 2) % 6].exception = round % 7 == 0 ? 2 : 0;
        rig_run(&rig, rig.now_us + 3 * SECOND);
        rig.story[0] = '\0';
    }
    assert_int_equal(book(), before);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_counter_counts),
        cmocka_unit_test(test_engine),
        cmocka_unit_test(test_poller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
