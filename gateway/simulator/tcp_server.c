/* SPDX-License-Identifier: Apache-2.0 */
/* Not pure: sockets. What is answered is decided by the plant.
 *
 * A connection takes one request at a time, in order:
 *
 *             a whole request, unit plugged in, no turnaround: answered at once
 *              .---.
 *              '-> READING --- the same with a turnaround ---> HOLDING   (the reply waits in `reply`)
 *                     ^                                           |
 *                     '----------- the turnaround is over --------'
 *
 * A request for a unit that is not there or unplugged gets no answer, as from a converter before a dead line. A connection is
 * closed when it breaks the framing, when it sends more than its buffer while a reply is held, and when it does not take its
 * replies. With every place taken, a new connection is closed at once.
 *
 * Framing: Modbus TCP, header transaction, protocol 0, length, unit. RTU over TCP, as on a serial line without its pace. */
#include "gateway/simulator/tcp_server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/heap.h"
#include "gateway/simulator/watch.h"

#define CONNECTIONS_MAX 2048
#define BUFFER_SIZE 1024 /* a few requests sent ahead */
#define HEADER_SIZE 7
#define BACKLOG 64

struct connection {
    int fd; /* -1: free */
    uint16_t bus;
    bool holding;
    size_t received, reply_size;
    uint8_t buffer[BUFFER_SIZE];
    uint8_t reply[FRAME_SIZE];
};

struct tcp_server {
    struct plant *plant;
    const struct plant_listener *listener;
    int epoll_fd;
    int *endpoints; /* by bus: the listening socket, or -1 */
    struct connection *connections;
    uint32_t *free, free_count;
    struct heap held; /* connections by when their reply is due */
};

struct tcp_server *tcp_server_create(struct plant *plant, const struct plant_listener *listener, int epoll_fd, struct arena *arena) {
    struct tcp_server *server = arena_take(arena, 1, sizeof(*server));
    *server = (struct tcp_server){.plant = plant, .listener = listener, .epoll_fd = epoll_fd};
    server->endpoints = arena_take(arena, plant->config->buses_count + 1u, sizeof(int));
    for (uint16_t i = 0; i < plant->config->buses_count; i++)
        server->endpoints[i] = -1;
    server->connections = arena_take(arena, CONNECTIONS_MAX, sizeof(struct connection));
    server->free = arena_take(arena, CONNECTIONS_MAX, sizeof(uint32_t));
    for (uint32_t i = CONNECTIONS_MAX; i-- > 0;) {
        server->connections[i].fd = -1;
        server->free[server->free_count++] = i;
    }
    heap_init(&server->held, CONNECTIONS_MAX, arena);
    return server;
}

/* ---- endpoints ---- */

static int listen_on(const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 && bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return -1;
}

static enum err plug_failed(const struct bus_spec *spec, const char *port, const char *reason, struct text *error) {
    text_add(error, "bus ");
    text_add(error, spec->name);
    text_add(error, ": cannot listen on ");
    text_add(error, spec->host);
    text_add(error, ":");
    text_add(error, port);
    text_add(error, ": ");
    text_add(error, reason);
    text_add(error, "; a simulation needs an address of this machine, such as 127.0.0.1, and a free port above 1023");
    return ERR_IO;
}

enum err tcp_server_plug(struct tcp_server *server, uint16_t bus, struct text *error) {
    const struct bus_spec *spec = &server->plant->config->buses[bus];
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *addresses;
    char port[8];
    if (server->endpoints[bus] >= 0)
        return ERR_OK;
    (void)snprintf(port, sizeof(port), "%u", (unsigned)spec->port);
    int rc = getaddrinfo(spec->host, port, &wanted, &addresses);
    if (rc != 0)
        return plug_failed(spec, port, gai_strerror(rc), error);
    int fd = listen_on(addresses);
    freeaddrinfo(addresses);
    if (fd >= 0 && watch_add(server->epoll_fd, fd, WATCH_ENDPOINT, bus) == ERR_OK) {
        server->endpoints[bus] = fd;
        return ERR_OK;
    }
    enum err err = plug_failed(spec, port, strerror(errno), error);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

static void drop(struct tcp_server *server, uint32_t index) {
    struct connection *connection = &server->connections[index];
    CHECK(connection->fd >= 0);
    (void)close(connection->fd);
    connection->fd = -1;
    heap_set(&server->held, index, NOW_NEVER);
    server->free[server->free_count++] = index;
}

void tcp_server_unplug(struct tcp_server *server, uint16_t bus) {
    if (server->endpoints[bus] < 0)
        return;
    (void)close(server->endpoints[bus]);
    server->endpoints[bus] = -1;
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
        if (server->connections[i].fd >= 0 && server->connections[i].bus == bus)
            drop(server, i);
}

void tcp_server_close(struct tcp_server *server) {
    for (uint16_t i = 0; i < server->plant->config->buses_count; i++)
        tcp_server_unplug(server, i);
}

void tcp_server_on_endpoint(struct tcp_server *server, uint32_t bus) {
    int yes = 1;
    if (bus >= server->plant->config->buses_count || server->endpoints[bus] < 0)
        return; /* unplugged by an earlier event of this round */
    int fd = accept4(server->endpoints[bus], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (server->free_count == 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) != 0) {
        (void)close(fd);
        return;
    }
    uint32_t index = server->free[server->free_count - 1];
    if (watch_add(server->epoll_fd, fd, WATCH_CONNECTION, index) != ERR_OK) {
        (void)close(fd);
        return;
    }
    server->free_count--;
    struct connection *connection = &server->connections[index];
    connection->fd = fd;
    connection->bus = (uint16_t)bus;
    connection->holding = false;
    connection->received = 0;
}

/* ---- requests ---- */

/* A whole request at the start of the buffer, found by either framing. */
struct framed {
    size_t size; /* of the frame; 0: not whole yet */
    uint8_t unit_id;
    const uint8_t *pdu;
    size_t pdu_size;
};

/* False: this is no frame and never becomes one. */
static bool find_tcp(const struct connection *connection, struct framed *ret_framed) {
    const uint8_t *bytes = connection->buffer;
    *ret_framed = (struct framed){.size = 0};
    if (connection->received < HEADER_SIZE)
        return true;
    size_t length = (size_t)(bytes[4] << 8 | bytes[5]);
    if (bytes[2] != 0 || bytes[3] != 0 || length < 2 || length > 1 + PDU_SIZE)
        return false;
    if (connection->received >= HEADER_SIZE - 1 + length)
        *ret_framed = (struct framed){HEADER_SIZE - 1 + length, bytes[6], bytes + HEADER_SIZE, length - 1};
    return true;
}

static bool find_rtu(const struct connection *connection, struct framed *ret_framed) {
    const uint8_t *bytes = connection->buffer;
    size_t size = slave_rtu_request_size(bytes, connection->received);
    *ret_framed = (struct framed){.size = 0};
    if (size == SIZE_MAX)
        return false;
    if (size == 0 || connection->received < size)
        return true;
    *ret_framed = (struct framed){size, bytes[0], bytes + 1, size - 3};
    return frame_crc(bytes, size - 2) == (bytes[size - 2] | bytes[size - 1] << 8);
}

static bool send_reply(struct connection *connection) {
    ssize_t sent = send(connection->fd, connection->reply, connection->reply_size, MSG_NOSIGNAL);
    connection->holding = false;
    return sent == (ssize_t)connection->reply_size;
}

/* False: close the connection. */
static bool answer(struct tcp_server *server, struct connection *connection, const struct framed *framed, int64_t now_us) {
    struct pdu reply;
    struct slave_write write;
    uint16_t device;
    if (!plant_answer(server->plant, connection->bus, framed->unit_id, framed->pdu, framed->pdu_size, &device, &reply, &write))
        return true;
    if (server->plant->config->buses[connection->bus].kind == BUS_TCP)
        connection->reply_size =
            frame_tcp((uint16_t)(connection->buffer[0] << 8 | connection->buffer[1]), framed->unit_id, &reply, connection->reply);
    else
        connection->reply_size = frame_rtu(framed->unit_id, &reply, connection->reply);
    if (write.done)
        server->listener->wrote(server->listener->context, device, &write);
    uint32_t turnaround_us = server->plant->devices[device].turnaround_us;
    if (turnaround_us == 0)
        return send_reply(connection);
    connection->holding = true;
    heap_set(&server->held, (uint32_t)(connection - server->connections), now_us + turnaround_us);
    return true;
}

/* Answers what stands whole in the buffer, until a reply is held. False: close the connection. */
static bool serve(struct tcp_server *server, struct connection *connection, int64_t now_us) {
    bool rtu = server->plant->config->buses[connection->bus].kind == BUS_RTU_OVER_TCP;
    while (!connection->holding) {
        struct framed framed;
        if (!(rtu ? find_rtu(connection, &framed) : find_tcp(connection, &framed)))
            return false;
        if (framed.size == 0)
            return true;
        if (!answer(server, connection, &framed, now_us))
            return false;
        connection->received -= framed.size;
        memmove(connection->buffer, connection->buffer + framed.size, connection->received);
    }
    return true;
}

void tcp_server_on_connection(struct tcp_server *server, uint32_t index, int64_t now_us) {
    CHECK(index < CONNECTIONS_MAX);
    struct connection *connection = &server->connections[index];
    if (connection->fd < 0)
        return; /* dropped by an earlier event of this round */
    size_t room = sizeof(connection->buffer) - connection->received;
    ssize_t got = room ? recv(connection->fd, connection->buffer + connection->received, room, 0) : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        connection->received += (size_t)got;
    if (got <= 0 || !serve(server, connection, now_us))
        drop(server, index);
}

int64_t tcp_server_next_wake(const struct tcp_server *server) {
    return heap_first_us(&server->held);
}

void tcp_server_on_time(struct tcp_server *server, int64_t now_us) {
    uint32_t index;
    while (heap_take_due(&server->held, now_us, &index)) {
        struct connection *connection = &server->connections[index];
        if (!send_reply(connection) || !serve(server, connection, now_us))
            drop(server, index);
    }
}
