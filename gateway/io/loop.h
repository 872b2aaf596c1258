/* SPDX-License-Identifier: Apache-2.0 */
/* The one event loop: a deadline, a doorbell that any thread may ring, the signals that end the program, and a slow beat for
 * the watchdog. TCP buses live on the same loop through loop_uv. Everything but loop_ring is for the loop thread. */
#ifndef YANHUO_LOOP_H
#define YANHUO_LOOP_H

#include <stdint.h>

#include "base/err.h"

struct loop;

struct loop_callbacks {
    void *context;
    void (*wake)(void *context);   /* the deadline has come */
    void (*rung)(void *context);   /* somebody rang; several rings may come as one */
    void (*beat)(void *context);   /* every beat_ms */
    void (*signal)(void *context); /* SIGTERM or SIGINT */
};

NODISCARD enum err loop_open(const struct loop_callbacks *callbacks, uint32_t beat_ms, struct loop **ret_loop);
void loop_close(struct loop *loop); /* runs what still has to close; NULL is allowed */

void loop_run(struct loop *loop); /* until loop_stop */
void loop_stop(struct loop *loop);
/* monotonic microseconds, NOW_NEVER for none. The wake comes at most a millisecond late, never early. */
void loop_set_deadline(struct loop *loop, int64_t at_us);
void loop_ring(void *loop); /* any thread; void * so that it can be an inbox's doorbell */
void *loop_uv(struct loop *loop); /* the uv_loop_t */

#endif
