/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that reads a clock. The wall clock counts as trusted when the kernel says that something disciplines it
 * (adjtimex): a date that merely looks right may be the one that was saved before the last power cut. */
#include "base/now.h"

#include <stdatomic.h>
#include <sys/timex.h>
#include <time.h>

int64_t now_mono_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static _Atomic bool always_trusted;

void now_trust_wall(void) {
    atomic_store(&always_trusted, true);
}

#define TRUST_CHECK_US 1000000 /* the kernel is asked once a second: whoever sets a clock does not do it more often */

static bool clock_disciplined(int64_t mono_us) {
    static _Atomic int64_t checked_us = INT64_MIN / 2;
    static _Atomic bool disciplined;
    if (mono_us - atomic_load(&checked_us) >= TRUST_CHECK_US) {
        struct timex state = {.modes = 0};
        int rc = adjtimex(&state);
        atomic_store(&disciplined, rc >= 0 && rc != TIME_ERROR && !(state.status & STA_UNSYNC));
        atomic_store(&checked_us, mono_us);
    }
    return atomic_load(&disciplined);
}

void now_read(struct now *ret_now) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ret_now->mono_us = now_mono_us();
    ret_now->wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    ret_now->wall_trusted = atomic_load(&always_trusted) || clock_disciplined(ret_now->mono_us);
}
