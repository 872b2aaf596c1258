/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection that is kept up, and one timer: all of libuv that a network bus needs. Non-blocking, on the loop's
 * thread only. Knows nothing of Modbus (bus_tcp.c) but that answers are expected.
 *
 * The owner hears by callbacks and may call any function of the link from any of them. `settle` is called last in each turn
 * of the loop that concerned this link, so that the owner can do its work in one place and without recursion. */
#ifndef YANHUO_TCP_LINK_H
#define YANHUO_TCP_LINK_H

#include "base/trace.h"
#include "sensors/bus.h"

struct tcp_link;

struct tcp_link_owner {
    void *context;
    void (*opened)(void *context);
    uint8_t *(*room)(void *context, size_t *ret_size); /* where to put what is received; never 0 bytes */
    void (*received)(void *context, size_t size);      /* that many bytes were put there */
    void (*failed)(void *context, int os_error);       /* the connection, or the attempt to make one, ended */
    void (*settle)(void *context);
};

/* Connects at once; the owner hears nothing before it returns. `bus` must outlive the link. */
NODISCARD enum err tcp_link_open(void *uv_loop, const struct bus_spec *bus, struct trace *trace, const struct tcp_link_owner *owner,
                                 struct tcp_link **ret_link);
/* No callback comes any more but `closed`, from the loop, when the memory is gone. */
void tcp_link_close(struct tcp_link *link, void (*closed)(void *context), void *context);

bool tcp_link_is_open(const struct tcp_link *link);
/* Not open, but an attempt is under way or tcp_link_need would begin one: a request may wait for it. */
bool tcp_link_is_near(const struct tcp_link *link);
/* A request waits: connects unless that is under way or a pause after a failure lasts. */
void tcp_link_need(struct tcp_link *link);

/* Only when open. 0, or the errno for which the connection was given up (`failed` is not called then). */
NODISCARD int tcp_link_send(struct tcp_link *link, const uint8_t *bytes, size_t size);
/* What was sent was answered: the next failure is the first again. */
void tcp_link_good(struct tcp_link *link);
/* Closes an open connection for a reason of the owner's; the next need makes a new one at once. */
void tcp_link_anew(struct tcp_link *link, const char *why);

/* settle is called at this time (mono_us) or earlier; NOW_NEVER for no wish. */
void tcp_link_wake_at(struct tcp_link *link, int64_t at_us);

#endif
