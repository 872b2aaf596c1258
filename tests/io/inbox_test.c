/* SPDX-License-Identifier: Apache-2.0 */
/* The inbox: order, one ring a burst, and the room of those who must not wait. A post that waited here would wait for ever. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/io/inbox.h"
#include "gateway/io/mqtt.h"

enum kind { KIND_FILL, KIND_ACKED, KIND_DOWN };

struct seen {
    unsigned rings, fills, acked, downs;
};

static void ring(void *context) {
    ((struct seen *)context)->rings++;
}

static void take(void *context, uint32_t kind, const void *message, size_t size) {
    struct seen *seen = context;
    if (kind == KIND_FILL) {
        uint32_t number;
        memcpy(&number, message, sizeof(number));
        assert_int_equal(number, seen->fills++);
    } else if (kind == KIND_ACKED) {
        const struct mqtt_acked *acked = message;
        assert_int_equal(size, sizeof(*acked));
        assert_int_equal(acked->code, seen->acked++);
    } else {
        seen->downs++;
    }
}

/* As many as go in without waiting. */
static unsigned fill(struct inbox *inbox) {
    static uint8_t bytes[1024];
    unsigned count = 0;
    for (; (count + 1) * (sizeof(bytes) + sizeof(count) + 32) <= INBOX_SIZE; count++)
        inbox_post(inbox, KIND_FILL, &count, sizeof(count), bytes, sizeof(bytes));
    return count;
}

/* Every window of every uplink is acknowledged, and every connection comes and goes several times, while lines filled the rest. */
static void those_who_must_not_wait_find_room(void **state) {
    (void)state;
    struct seen seen = {.rings = 0};
    struct inbox *inbox;
    assert_int_equal(inbox_open(ring, &seen, &inbox), ERR_OK);
    for (unsigned round = 0; round < 3; round++) {
        seen = (struct seen){.rings = 0};
        unsigned filled = fill(inbox);
        int acks = 0;
        for (unsigned i = 0; i < UPLINKS_MAX * WINDOW_MAX; i++) {
            struct mqtt_acked acked = {.code = acks++};
            if (i % 2)
                inbox_post_now(inbox, KIND_ACKED, &acked, sizeof(acked));
            else
                inbox_post_later(inbox, KIND_ACKED, &acked, sizeof(acked));
        }
        for (unsigned i = 0; i < UPLINKS_MAX * 40; i++) {
            struct mqtt_link_down down = {.code = 1};
            inbox_post_now(inbox, KIND_DOWN, &down, sizeof(down));
        }
        inbox_drain(inbox, take, &seen);
        assert_int_equal(seen.rings, 1);
        assert_int_equal(seen.fills, filled);
        assert_int_equal(seen.acked, acks);
        assert_int_equal(seen.downs, UPLINKS_MAX * 40);
    }
    inbox_close(inbox);
}

struct poster {
    struct inbox *inbox;
    atomic_uint posted;
};

static void *post_fills(void *context) {
    struct poster *poster = context;
    static uint8_t bytes[1024];
    for (unsigned i = 0; i < 5000; i++) {
        inbox_post(poster->inbox, KIND_FILL, &i, sizeof(i), bytes, sizeof(bytes));
        atomic_fetch_add(&poster->posted, 1);
    }
    return NULL;
}

/* Others wait until the loop has taken what there is, and nothing is lost. */
static void others_wait_for_room(void **state) {
    (void)state;
    struct seen seen = {.rings = 0};
    struct poster poster = {.posted = 0};
    pthread_t thread;
    assert_int_equal(inbox_open(ring, &seen, &poster.inbox), ERR_OK);
    assert_int_equal(pthread_create(&thread, NULL, post_fills, &poster), 0);
    while (atomic_load(&poster.posted) < 900) { /* less than there is room for */
    }
    while (seen.fills < 5000)
        inbox_drain(poster.inbox, take, &seen);
    pthread_join(thread, NULL);
    inbox_close(poster.inbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_must_not_wait_find_room),
        cmocka_unit_test(others_wait_for_room),
    };
    return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
