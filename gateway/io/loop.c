/* SPDX-License-Identifier: Apache-2.0 */
/* libuv timers count whole milliseconds from the loop's own clock; the deadline is kept here in microseconds and checked when
 * the timer fires, so that a deadline moved later costs nothing and one moved earlier re-arms the timer.
 * What is due at once is an idle handle, never a timer of 0 ms: that one, set again from its own callback, keeps libuv up to 1.44
 * from ever looking at its sockets and signals, while an idle handle runs once a turn. */
#include "gateway/io/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "base/now.h"

struct loop {
    uv_loop_t uv;
    uv_timer_t deadline, beat;
    uv_idle_t due;
    uv_async_t bell;
    uv_signal_t terminate, interrupt;
    struct loop_callbacks callbacks;
    int64_t deadline_us, armed_us; /* wanted, and what the timer is set to; NOW_NEVER for none */
};

static void arm(struct loop *loop);

static void deadline_look(struct loop *loop) {
    loop->armed_us = NOW_NEVER;
    if (now_mono_us() < loop->deadline_us) {
        arm(loop);
        return;
    }
    loop->deadline_us = NOW_NEVER;
    loop->callbacks.wake(loop->callbacks.context);
}

static void on_deadline(uv_timer_t *timer) {
    deadline_look(timer->data);
}

static void on_due(uv_idle_t *due) {
    uv_idle_stop(due);
    deadline_look(due->data);
}

static void arm(struct loop *loop) {
    if (loop->deadline_us == NOW_NEVER || loop->armed_us <= loop->deadline_us)
        return; /* nothing to wait for, or the timer comes in time to look again */
    int64_t wait_us = loop->deadline_us - now_mono_us();
    loop->armed_us = loop->deadline_us;
    if (wait_us <= 0) {
        uv_idle_start(&loop->due, on_due);
        return;
    }
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->deadline, on_deadline, (uint64_t)(wait_us + 999) / 1000, 0);
}

void loop_set_deadline(struct loop *loop, int64_t at_us) {
    loop->deadline_us = at_us;
    arm(loop);
}

static void on_bell(uv_async_t *bell) {
    struct loop *loop = bell->data;
    loop->callbacks.rung(loop->callbacks.context);
}

static void on_beat(uv_timer_t *timer) {
    struct loop *loop = timer->data;
    loop->callbacks.beat(loop->callbacks.context);
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    struct loop *loop = handle->data;
    loop->callbacks.signal(loop->callbacks.context);
}

enum err loop_open(const struct loop_callbacks *callbacks, uint32_t beat_ms, struct loop **ret_loop) {
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return ERR_NOMEM;
    loop->callbacks = *callbacks;
    loop->deadline_us = loop->armed_us = NOW_NEVER;
    if (uv_loop_init(&loop->uv) < 0) {
        free(loop);
        return ERR_NOMEM;
    }
    loop->deadline.data = loop->due.data = loop->beat.data = loop->bell.data = loop->terminate.data = loop->interrupt.data = loop;
    if (uv_timer_init(&loop->uv, &loop->deadline) < 0 || uv_idle_init(&loop->uv, &loop->due) < 0 || uv_timer_init(&loop->uv, &loop->beat) < 0 ||
        uv_async_init(&loop->uv, &loop->bell, on_bell) < 0 || uv_signal_init(&loop->uv, &loop->terminate) < 0 ||
        uv_signal_init(&loop->uv, &loop->interrupt) < 0 || uv_timer_start(&loop->beat, on_beat, beat_ms, beat_ms) < 0 ||
        uv_signal_start(&loop->terminate, on_signal, SIGTERM) < 0 || uv_signal_start(&loop->interrupt, on_signal, SIGINT) < 0) {
        loop_close(loop);
        return ERR_IO;
    }
    *ret_loop = loop;
    return ERR_OK;
}

static void close_handle(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void loop_close(struct loop *loop) {
    if (!loop)
        return;
    uv_walk(&loop->uv, close_handle, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    free(loop);
}

void loop_run(struct loop *loop) {
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop) {
    uv_stop(&loop->uv);
}

void loop_ring(void *context) {
    struct loop *loop = context;
    uv_async_send(&loop->bell);
}

void *loop_uv(struct loop *loop) {
    return &loop->uv;
}
