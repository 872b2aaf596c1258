/* SPDX-License-Identifier: Apache-2.0 */
/*              due, or needed                                        another address is left
 *   CLOSED ----------------------> RESOLVING --> CONNECTING <------------------------.
 *     ^                            (names only)      |   '-- failed, timed out ----> CLOSING
 *     |                                              v                               |    |
 *     |                                            OPEN ---- lost, given up ---------'    |
 *     '-----------------------------------------------------------------------------------'
 *
 * Connects at start; when the pause after a failure is over (0.5 s growing to 10 s, with jitter, from the start again after an
 * answer); otherwise when needed, so that a device that closes idle connections is left alone. A failure is an attempt that
 * did not connect, or a connection that ended with requests and without any answer.
 *
 * No memory is taken per request: they leave by uv_try_write (a full socket buffer means a dead connection), answers are read
 * into the owner's buffer. The program must ignore SIGPIPE.
 * The one timer is left armed when its deadline moves away, and looks again when it fires. Its milliseconds and now_mono_us
 * count from the same CLOCK_MONOTONIC, so that a deadline needs no refreshed clock of the loop. */
#include "sensors/tcp_link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/check.h"
#include "base/prng.h"

#define ADDRESSES_MAX 4 /* of one name: IPv6 and IPv4, each with a spare */
#define RETRY_MIN_US 500000
#define RETRY_MAX_US 10000000
#define KEEPALIVE_S 30
#define USER_TIMEOUT_MS 10000 /* what was sent and not acknowledged for this long ends the connection */

enum link_state { CLOSED, RESOLVING, CONNECTING, OPEN, CLOSING };

struct tcp_link {
    const struct bus_spec *bus;
    struct trace *trace;
    struct tcp_link_owner owner;
    uv_loop_t *loop;
    struct prng prng;

    enum link_state state;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    unsigned addresses_count, addresses_next;
    int64_t connect_by_us;          /* NOW_NEVER: a resolver that took too long, nobody waits for it */
    int64_t retry_us;               /* NOW_NEVER: when needed */
    int64_t pause_us;               /* the next */
    bool asked, answered;           /* on this connection */
    int told_error;                 /* the reason traced last, libuv's number */
    bool told_connected, told_anew; /* traced since the last failure, since the last answer */

    uv_timer_t timer;
    int64_t timer_us; /* when it fires; NOW_NEVER: not armed */
    int64_t wake_us;  /* the owner's wish */
    bool closing;
    unsigned handles; /* open handles and requests: they keep the memory */
    void (*closed)(void *context);
    void *closed_context;
};

static void connect_next(struct tcp_link *link);
static void timer_set(struct tcp_link *link);

static void settle(struct tcp_link *link) {
    if (!link->closing)
        link->owner.settle(link->owner.context);
    if (!link->closing)
        timer_set(link);
}

static void handle_gone(struct tcp_link *link) {
    CHECK(link->handles > 0);
    if (--link->handles > 0)
        return;
    CHECK(link->closing);
    void (*closed)(void *context) = link->closed;
    void *context = link->closed_context;
    free(link);
    if (closed)
        closed(context);
}

/* Ending a connection --------------------------------------------------------------------------------------------------- */

static void on_tcp_closed(uv_handle_t *handle) {
    struct tcp_link *link = handle->data;
    link->state = CLOSED;
    if (!link->closing && link->addresses_next < link->addresses_count)
        connect_next(link);
    settle(link);
    handle_gone(link);
}

static void connection_close(struct tcp_link *link) {
    CHECK(link->state == CONNECTING || link->state == OPEN);
    link->state = CLOSING;
    uv_close((uv_handle_t *)&link->tcp, on_tcp_closed);
}

/* libuv's numbers are negated errnos but for names (-3000 and below) and the end of a stream. */
static int os_error_of(int error) {
    if (error == UV_EOF)
        return ECONNRESET;
    return error < 0 && error > -3000 ? -error : EHOSTUNREACH;
}

/* Sets when to try again; the owner is not told here. */
static void connection_lost(struct tcp_link *link, int error) {
    int64_t now_us = now_mono_us();
    bool failed = link->state != OPEN || (link->asked && !link->answered);
    link->retry_us = NOW_NEVER;
    if (failed) {
        link->retry_us = now_us + link->pause_us + (int64_t)prng_below(&link->prng, (uint64_t)link->pause_us / 4);
        link->pause_us = link->pause_us * 2 < RETRY_MAX_US ? link->pause_us * 2 : RETRY_MAX_US;
    }
    if (failed && link->told_error != error) {
        trace_add(link->trace, now_us, TRACE_ERROR,
                  "bus %s: no connection to %s port %u: %s (is the device on, are address and port right?); trying again", link->bus->name,
                  link->bus->host, (unsigned)link->bus->port, uv_strerror(error));
        link->told_error = error;
        link->told_connected = false;
    }
    link->addresses_next = link->addresses_count;
    if (link->state == CONNECTING || link->state == OPEN)
        connection_close(link);
}

static void connection_failed(struct tcp_link *link, int error) {
    connection_lost(link, error);
    link->owner.failed(link->owner.context, os_error_of(error));
}

/* An address did not work: the next one, if there is one. */
static void attempt_failed(struct tcp_link *link, int error) {
    if (link->addresses_next < link->addresses_count)
        connection_close(link);
    else
        connection_failed(link, error);
}

/* Receiving and sending ------------------------------------------------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    struct tcp_link *link = handle->data;
    size_t size;
    (void)suggested;
    uint8_t *bytes = link->owner.room(link->owner.context, &size);
    *buffer = uv_buf_init((char *)bytes, (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
    struct tcp_link *link = stream->data;
    (void)buffer;
    if (length == 0 || link->state != OPEN)
        return;
    if (length < 0)
        connection_failed(link, (int)length);
    else
        link->owner.received(link->owner.context, (size_t)length);
    settle(link);
}

int tcp_link_send(struct tcp_link *link, const uint8_t *bytes, size_t size) {
    CHECK(link->state == OPEN);
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)size); /* libuv only reads it */
    int sent = uv_try_write((uv_stream_t *)&link->tcp, &buffer, 1);
    link->asked = true;
    if (sent == (int)size)
        return 0;
    int error = sent < 0 ? sent : UV_ENOBUFS;
    connection_lost(link, error);
    return os_error_of(error);
}

void tcp_link_good(struct tcp_link *link) {
    link->answered = true;
    link->pause_us = RETRY_MIN_US;
    link->told_error = 0;
    link->told_anew = false;
}

void tcp_link_anew(struct tcp_link *link, const char *why) {
    CHECK(link->state == OPEN);
    if (!link->told_anew)
        trace_add(link->trace, now_mono_us(), TRACE_WARNING, "bus %s: %s from %s port %u; connecting anew", link->bus->name, why, link->bus->host,
                  (unsigned)link->bus->port);
    link->told_anew = true;
    link->retry_us = NOW_NEVER;
    link->addresses_next = link->addresses_count;
    connection_close(link);
}

/* Connecting ------------------------------------------------------------------------------------------------------------ */

static void on_connect(uv_connect_t *connect, int status) {
    struct tcp_link *link = connect->data;
    int fd = -1;
    if (link->state != CONNECTING) /* timed out or closed meanwhile */
        return;
    if (status == 0)
        status = uv_fileno((uv_handle_t *)&link->tcp, &fd);
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&link->tcp, on_room, on_read);
    if (status == 0) {
        unsigned user_timeout_ms = USER_TIMEOUT_MS;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
        (void)uv_tcp_nodelay(&link->tcp, 1);
        (void)uv_tcp_keepalive(&link->tcp, 1, KEEPALIVE_S);
        link->state = OPEN;
        link->asked = link->answered = false;
        if (!link->told_connected)
            trace_add(link->trace, now_mono_us(), TRACE_INFO, "bus %s: connected to %s port %u", link->bus->name, link->bus->host,
                      (unsigned)link->bus->port);
        link->told_connected = true;
        link->owner.opened(link->owner.context);
    } else {
        attempt_failed(link, status);
    }
    settle(link);
}

static void connect_next(struct tcp_link *link) {
    CHECK(link->addresses_next < link->addresses_count);
    const struct sockaddr *address = (const struct sockaddr *)&link->addresses[link->addresses_next++];
    int error = uv_tcp_init(link->loop, &link->tcp);
    CHECK(error == 0); /* takes no descriptor yet */
    link->handles++;
    link->tcp.data = link->connect.data = link;
    link->state = CONNECTING;
    link->connect_by_us = now_mono_us() + (int64_t)link->bus->connect_timeout_ms * 1000;
    error = uv_tcp_connect(&link->connect, &link->tcp, address, on_connect);
    if (error)
        attempt_failed(link, error);
}

static void address_add(struct tcp_link *link, const struct sockaddr *address, size_t size) {
    struct sockaddr_storage *place = &link->addresses[link->addresses_count];
    bool known = address->sa_family == AF_INET || address->sa_family == AF_INET6;
    if (link->addresses_count == ADDRESSES_MAX || !known || size > sizeof(*place))
        return;
    memcpy(place, address, size);
    if (address->sa_family == AF_INET)
        ((struct sockaddr_in *)place)->sin_port = htons(link->bus->port);
    else
        ((struct sockaddr_in6 *)place)->sin6_port = htons(link->bus->port);
    link->addresses_count++;
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found) {
    struct tcp_link *link = resolve->data;
    for (const struct addrinfo *each = found; each; each = each->ai_next)
        address_add(link, each->ai_addr, each->ai_addrlen);
    uv_freeaddrinfo(found);
    link->state = CLOSED;
    if (!link->closing && link->addresses_count > 0)
        connect_next(link);
    else if (!link->closing)
        connection_failed(link, status ? status : UV_EAI_NODATA);
    settle(link);
    handle_gone(link);
}

/* CLOSED -> RESOLVING or CONNECTING */
static void connect_begin(struct tcp_link *link) {
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    link->addresses_count = link->addresses_next = 0;
    link->retry_us = NOW_NEVER;
    if (uv_ip4_addr(link->bus->host, link->bus->port, &ip4) == 0)
        address_add(link, (const struct sockaddr *)&ip4, sizeof(ip4));
    else if (uv_ip6_addr(link->bus->host, link->bus->port, &ip6) == 0)
        address_add(link, (const struct sockaddr *)&ip6, sizeof(ip6));
    if (link->addresses_count > 0) {
        connect_next(link);
        return;
    }
    int error = uv_getaddrinfo(link->loop, &link->resolve, on_resolved, link->bus->host, NULL, &hints);
    if (error) {
        connection_failed(link, error);
        return;
    }
    link->handles++;
    link->state = RESOLVING;
    link->connect_by_us = now_mono_us() + (int64_t)link->bus->connect_timeout_ms * 1000;
}

bool tcp_link_is_open(const struct tcp_link *link) {
    return link->state == OPEN;
}

bool tcp_link_is_near(const struct tcp_link *link) {
    if (link->state == RESOLVING || link->state == CONNECTING)
        return link->connect_by_us != NOW_NEVER;
    return link->state != OPEN && (link->retry_us == NOW_NEVER || link->retry_us <= now_mono_us());
}

void tcp_link_need(struct tcp_link *link) {
    if (link->state == CLOSED && tcp_link_is_near(link))
        connect_begin(link);
}

/* The timer ------------------------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer) {
    struct tcp_link *link = timer->data;
    int64_t now_us = now_mono_us();
    link->timer_us = NOW_NEVER;
    if (link->state == CLOSED && now_us >= link->retry_us) {
        connect_begin(link);
    } else if (link->state == CONNECTING && now_us >= link->connect_by_us) {
        attempt_failed(link, UV_ETIMEDOUT);
    } else if (link->state == RESOLVING && now_us >= link->connect_by_us) {
        link->connect_by_us = NOW_NEVER; /* a resolver cannot be stopped */
        link->owner.failed(link->owner.context, EHOSTUNREACH);
    }
    settle(link);
}

static void timer_set(struct tcp_link *link) {
    int64_t due_us = link->wake_us;
    if (link->state == CLOSED && link->retry_us < due_us)
        due_us = link->retry_us;
    if ((link->state == RESOLVING || link->state == CONNECTING) && link->connect_by_us < due_us)
        due_us = link->connect_by_us;
    if (due_us >= link->timer_us)
        return;
    int64_t due_ms = (due_us + 999) / 1000, now_ms = (int64_t)uv_now(link->loop);
    int error = uv_timer_start(&link->timer, on_timer, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 0, 0);
    CHECK(error == 0);
    link->timer_us = due_us;
}

void tcp_link_wake_at(struct tcp_link *link, int64_t at_us) {
    link->wake_us = at_us;
    timer_set(link);
}

enum err tcp_link_open(void *uv_loop, const struct bus_spec *bus, struct trace *trace, const struct tcp_link_owner *owner,
                       struct tcp_link **ret_link) {
    struct tcp_link *link = calloc(1, sizeof(*link));
    if (!link)
        return ERR_NOMEM;
    link->loop = uv_loop;
    link->bus = bus;
    link->trace = trace;
    link->owner = *owner;
    link->pause_us = RETRY_MIN_US;
    link->timer_us = link->wake_us = NOW_NEVER;
    prng_init(&link->prng, (uint64_t)now_mono_us() + bus->bus);
    int error = uv_timer_init(link->loop, &link->timer);
    CHECK(error == 0);
    link->timer.data = link->resolve.data = link;
    link->handles = 1;
    link->retry_us = 0; /* due: the timer makes the first attempt */
    timer_set(link);
    *ret_link = link;
    return ERR_OK;
}

static void on_timer_closed(uv_handle_t *handle) {
    handle_gone(handle->data);
}

void tcp_link_close(struct tcp_link *link, void (*closed)(void *context), void *context) {
    CHECK(!link->closing);
    link->closing = true;
    link->closed = closed;
    link->closed_context = context;
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
    if (link->state == CONNECTING || link->state == OPEN)
        connection_close(link);
    else if (link->state == RESOLVING)
        (void)uv_cancel((uv_req_t *)&link->resolve);
}
