/* SPDX-License-Identifier: Apache-2.0 */
/* The rules are in late.h. Invariants (late_check): no two windows are of one shape, because the second would not have been
 * sent. */
#include "sensors/late.h"

#include <string.h>

#include "base/check.h"

int64_t late_window_us(int64_t ceiling_us) {
    return 2 * ceiling_us > LATE_WINDOW_MIN_US ? 2 * ceiling_us : LATE_WINDOW_MIN_US;
}

static bool is_read(uint8_t function) {
    return function <= FC_READ_INPUT;
}

/* Bytes of data in the answer to a read. */
static unsigned data_bytes(const uint8_t *head) {
    unsigned count = (unsigned)head[3] << 8 | head[4];
    return head[0] <= FC_READ_DISCRETE ? (count + 7) / 8 : 2 * count;
}

static bool same_head(const uint8_t *a, const uint8_t *b) {
    return !memcmp(a, b, LATE_HEAD_SIZE);
}

/* Would the good answer to the one be accepted for the other? */
static bool same_shape(const uint8_t *a, const uint8_t *b) {
    if (a[0] != b[0])
        return false;
    return is_read(a[0]) ? data_bytes(a) == data_bytes(b) : same_head(a, b);
}

static bool is_open(const struct late_window *window, int64_t now_us) {
    return window->until_us > now_us;
}

static int find(const struct late *late, const struct pdu *request, int64_t now_us) {
    CHECK(request->size >= LATE_HEAD_SIZE);
    for (int i = 0; i < LATE_WINDOWS_MAX; i++)
        if (is_open(&late->windows[i], now_us) && same_shape(late->windows[i].head, request->bytes))
            return i;
    return -1;
}

static bool has_claim(const struct late_window *window, bool fire, int64_t now_us) {
    if (window->waits_since_us == 0)
        return false;
    return window->waits_fire || !fire || now_us - window->waits_since_us >= LATE_WAIT_MAX_US;
}

int64_t late_allows_us(const struct late *late, const struct pdu *request, bool fire, int64_t now_us) {
    int64_t at_us = late->rest_until_us > now_us ? late->rest_until_us : now_us;
    int i = find(late, request, now_us);
    if (i < 0)
        return at_us;
    const struct late_window *window = &late->windows[i];
    if (same_head(window->head, request->bytes) && !has_claim(window, fire, now_us))
        return at_us;
    int64_t end_us = window->until_us + same_head(window->head, request->bytes); /* who waited goes first */
    return end_us > at_us ? end_us : at_us;
}

void late_waits(struct late *late, const struct pdu *request, bool fire, int64_t since_us, int64_t now_us) {
    int i = find(late, request, now_us);
    if (i < 0 || same_head(late->windows[i].head, request->bytes))
        return;
    struct late_window *window = &late->windows[i];
    if (window->waits_since_us == 0 || since_us < window->waits_since_us)
        window->waits_since_us = since_us;
    window->waits_fire = window->waits_fire || fire;
}

bool late_doubts(const struct late *late, const struct pdu *request, bool exception, int64_t at_us) {
    for (int i = 0; i < LATE_WINDOWS_MAX; i++) {
        const struct late_window *window = &late->windows[i];
        if (!is_open(window, at_us) || window->head[0] != request->bytes[0])
            continue;
        if (exception || same_head(window->head, request->bytes)) /* an exception tells nothing but the function */
            return true;
    }
    return false;
}

int64_t late_age_us(const struct late *late, const struct pdu *request, int64_t at_us) {
    int i = find(late, request, at_us);
    return i >= 0 && same_head(late->windows[i].head, request->bytes) ? at_us - late->windows[i].sent_us : 0;
}

bool late_hides_write(const struct late *late, const struct pdu *request, int64_t at_us) {
    return (request->bytes[0] == FC_WRITE_REGISTERS || request->bytes[0] == FC_WRITE_COILS) &&
           (late->rest_until_us > at_us || late_doubts(late, request, false, at_us));
}

/* Where to keep one more: the window of the same request, one that has ended, or the one that ends first. */
static struct late_window *place_for(struct late *late, const struct pdu *request, int64_t now_us) {
    struct late_window *place = &late->windows[0];
    for (int i = 0; i < LATE_WINDOWS_MAX; i++) {
        struct late_window *window = &late->windows[i];
        if (window->until_us != 0 && same_head(window->head, request->bytes)) {
            if (!is_open(window, now_us))
                window->until_us = 0;
            return window;
        }
        if (window->until_us < place->until_us)
            place = window;
    }
    if (is_open(place, now_us) && place->until_us > late->rest_until_us)
        late->rest_until_us = place->until_us;
    place->until_us = 0;
    return place;
}

void late_open(struct late *late, const struct pdu *request, int64_t sent_us, int64_t until_us, int64_t now_us) {
    struct late_window *window = place_for(late, request, now_us);
    if (window->until_us == 0) {
        *window = (struct late_window){.sent_us = sent_us};
        memcpy(window->head, request->bytes, LATE_HEAD_SIZE);
    }
    window->until_us = until_us;
}

bool late_is_open(const struct late *late, int64_t now_us) {
    for (int i = 0; i < LATE_WINDOWS_MAX; i++)
        if (is_open(&late->windows[i], now_us))
            return true;
    return late->rest_until_us > now_us;
}

void late_check(const struct late *late) {
    for (int i = 0; i < LATE_WINDOWS_MAX; i++) {
        const struct late_window *window = &late->windows[i];
        CHECK(window->until_us == 0 || window->sent_us <= window->until_us);
        for (int k = 0; k < i; k++) /* open at the same time: each opened before the other had ended */
            CHECK(window->until_us == 0 || late->windows[k].until_us <= window->sent_us || window->until_us <= late->windows[k].sent_us ||
                  !same_shape(window->head, late->windows[k].head));
    }
}
