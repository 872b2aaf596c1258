/* SPDX-License-Identifier: Apache-2.0 */
/*   serial          rtu_port.c opens, rtu_line.c does the transaction
 *   TCP             tcp_receiver.c finds the answer by transaction, unit id and function; what comes late is dropped
 *   RTU over TCP    rtu_receiver.c finds the answer; a network keeps no silence, so only the deadline ends the listening
 *
 * A function that the receivers do not know (device identification) has an answer of unknown length: on a line the bytes are
 * gathered until a pause, and the frame is where unit id, function and CRC agree; on TCP the header tells the length. */
#include "sensors/bus_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sensors/rtu_line.h"
#include "sensors/rtu_port.h"
#include "sensors/tcp_receiver.h"

#define GATHER_SIZE (2 * FRAME_SIZE)
#define TCP_HEADER_SIZE 7

struct bus_client {
    const struct bus_spec *spec;
    struct rtu_port port;
    struct rtu_line line;
    int fd; /* of the connection or the port; -1: none */
    uint16_t transaction;
    struct tcp_receiver tcp;
    struct rtu_receiver rtu;
    uint64_t strays;
    struct bus_client_proxy proxy; /* without `ask`: there is none */
};

/* ---- opening ---- */

static int wait_for(int fd, short events, int64_t until_us) {
    int64_t left_us = until_us - now_mono_us();
    if (left_us < 0)
        left_us = 0;
    struct timespec left = {.tv_sec = (time_t)(left_us / 1000000), .tv_nsec = (long)(left_us % 1000000) * 1000};
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return ppoll(&poll_fd, 1, &left, NULL);
}

static int connect_to(const struct addrinfo *address, uint32_t timeout_ms, int *ret_fd) {
    int one = 1, os_error = 0;
    socklen_t size = sizeof(os_error);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        os_error = errno;
        if (os_error == EINPROGRESS) {
            if (wait_for(fd, POLLOUT, now_mono_us() + (int64_t)timeout_ms * 1000) <= 0)
                os_error = ETIMEDOUT;
            else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &os_error, &size) != 0)
                os_error = errno;
        }
    }
    if (os_error) {
        close(fd);
        return os_error;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *ret_fd = fd;
    return 0;
}

static int network_open(struct bus_client *client) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *addresses = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)client->spec->port);
    if (getaddrinfo(client->spec->host, service, &hints, &addresses) != 0)
        return ERANGE;
    int os_error = ERANGE;
    for (const struct addrinfo *address = addresses; address && os_error; address = address->ai_next)
        os_error = connect_to(address, client->spec->connect_timeout_ms, &client->fd);
    freeaddrinfo(addresses);
    tcp_receiver_init(&client->tcp);
    return os_error;
}

static int open_any(struct bus_client *client) {
    if (client->spec->kind != BUS_SERIAL)
        return network_open(client);
    int os_error = rtu_port_open(&client->port, client->spec);
    if (os_error)
        return os_error;
    struct line_timing timing = bus_line_timing(client->spec);
    client->fd = client->port.fd;
    rtu_line_init(&client->line, client->fd, &timing);
    return 0;
}

static void close_any(struct bus_client *client) {
    if (client->spec->kind == BUS_SERIAL)
        rtu_port_close(&client->port);
    else if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

int bus_client_open(const struct bus_spec *spec, struct bus_client **ret_client) {
    struct bus_client *client = calloc(1, sizeof(*client));
    if (!client)
        return ENOMEM;
    client->spec = spec;
    client->fd = -1;
    rtu_port_init(&client->port);
    int os_error = open_any(client);
    if (os_error) {
        bus_client_close(client);
        return os_error;
    }
    *ret_client = client;
    return 0;
}

int bus_client_open_proxy(const struct bus_spec *spec, const struct bus_client_proxy *proxy, struct bus_client **ret_client) {
    struct bus_client *client = calloc(1, sizeof(*client));
    if (!client)
        return ENOMEM;
    client->spec = spec;
    client->fd = -1;
    rtu_port_init(&client->port);
    client->proxy = *proxy;
    *ret_client = client;
    return 0;
}

void bus_client_close(struct bus_client *client) {
    if (!client)
        return;
    if (client->proxy.ask)
        client->proxy.close(client->proxy.context);
    close_any(client);
    free(client);
}

const char *bus_client_advice(int os_error) {
    switch (os_error) {
    case ECONNREFUSED:
        return "the host is there, but nothing listens on this port; Modbus TCP is usually port 502";
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "is the address right, and is the device on this network? try to ping it";
    default:
        return rtu_port_advice(os_error);
    }
}

uint64_t bus_client_strays(const struct bus_client *client) {
    return client->strays + client->line.bytes_dropped;
}

/* ---- asking ---- */

static void answer_init(struct bus_answer *answer) {
    memset(answer, 0, sizeof(*answer));
    answer->status = BUS_TIMEOUT;
}

static void answer_gone(struct bus_client *client, int os_error, struct bus_answer *answer) {
    answer->status = BUS_DISCONNECTED;
    answer->os_error = os_error;
    if (client->spec->kind != BUS_SERIAL)
        close_any(client); /* the next request connects again */
}

/* Sends it all; a network takes a frame at once or is gone. */
static bool send_all(struct bus_client *client, const uint8_t *frame, size_t size, struct bus_answer *answer) {
    size_t sent = 0;
    int64_t until_us = now_mono_us() + RTU_LINE_BABBLE_US + line_bytes_us(&client->line.timing, size);
    while (sent < size) {
        ssize_t length = client->spec->kind == BUS_SERIAL ? write(client->fd, frame + sent, size - sent)
                                                          : send(client->fd, frame + sent, size - sent, MSG_NOSIGNAL);
        if (length > 0) {
            sent += (size_t)length;
        } else if (length < 0 && errno != EAGAIN && errno != EINTR) {
            answer_gone(client, errno, answer);
            return false;
        } else if (now_mono_us() > until_us || wait_for(client->fd, POLLOUT, until_us) == 0) {
            answer_gone(client, ETIMEDOUT, answer);
            return false;
        }
    }
    return true;
}

/* Bytes read, 0: the deadline passed (or a signal came), -1: gone, and the answer says so. */
static ssize_t read_until(struct bus_client *client, uint8_t *bytes, size_t size, int64_t until_us, struct bus_answer *answer) {
    int ready = wait_for(client->fd, POLLIN, until_us);
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return 0;
    ssize_t length = ready < 0 ? -1 : read(client->fd, bytes, size);
    if (length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR)))
        return length > 0 ? length : 0;
    answer_gone(client, length == 0 ? ECONNRESET : errno, answer);
    return -1;
}

static void ask_tcp(struct bus_client *client, const struct bus_request *request, struct bus_answer *answer) {
    uint8_t frame[FRAME_SIZE];
    size_t size = frame_tcp(++client->transaction, request->unit_id, &request->pdu, frame);
    uint64_t dropped = client->tcp.dropped;
    tcp_receiver_begin(&client->tcp, client->transaction, request->unit_id, &request->pdu);
    int64_t sent_us = now_mono_us(), until_us = sent_us + request->timeout_us;
    bool going = send_all(client, frame, size, answer);
    while (going && now_mono_us() < until_us) {
        size_t room;
        uint8_t *bytes = tcp_receiver_room(&client->tcp, &room);
        ssize_t length = read_until(client, bytes, room, until_us, answer);
        if (length < 0)
            break;
        enum tcp_verdict verdict = tcp_receiver_feed(&client->tcp, (size_t)length, &answer->pdu);
        if (verdict == TCP_MORE)
            continue;
        answer->status = verdict == TCP_FOUND ? BUS_ANSWERED : BUS_CORRUPT;
        if (verdict == TCP_LOST)
            close_any(client);
        break;
    }
    if (answer->status == BUS_TIMEOUT && client->tcp.mismatched)
        answer->status = BUS_CORRUPT;
    answer->turnaround_us = answer->status == BUS_ANSWERED ? now_mono_us() - sent_us : 0;
    client->strays += client->tcp.dropped - dropped;
    tcp_receiver_end(&client->tcp);
}

static void ask_rtu_over_tcp(struct bus_client *client, const struct bus_request *request, struct bus_answer *answer) {
    uint8_t bytes[FRAME_SIZE];
    ssize_t length;
    while ((length = read_until(client, bytes, sizeof(bytes), 0, answer)) > 0)
        client->strays += (uint64_t)length; /* late answers of earlier requests */
    if (length < 0)
        return;
    rtu_receiver_begin(&client->rtu, request->unit_id, &request->pdu, false);
    int64_t sent_us = now_mono_us(), until_us = sent_us + request->timeout_us;
    if (!send_all(client, client->rtu.frame, client->rtu.frame_size, answer))
        return;
    while (now_mono_us() < until_us) {
        size_t needed;
        length = read_until(client, bytes, sizeof(bytes), until_us, answer);
        if (length < 0)
            return;
        if (length > 0 && rtu_receiver_feed(&client->rtu, bytes, (size_t)length, &needed, &answer->pdu) == RTU_FOUND) {
            answer->status = BUS_ANSWERED;
            answer->turnaround_us = now_mono_us() - sent_us;
            return;
        }
        if (rtu_receiver_damaged(&client->rtu))
            break;
    }
    answer->status = client->rtu.heard || client->rtu.length ? BUS_CORRUPT : BUS_TIMEOUT;
}

/* Connects again when the connection was closed. */
static void connect_again(struct bus_client *client, struct bus_answer *answer) {
    answer_init(answer);
    int os_error = client->fd < 0 && client->spec->kind != BUS_SERIAL ? network_open(client) : 0;
    if (os_error || client->fd < 0)
        answer_gone(client, os_error ? os_error : EIO, answer);
}

void bus_client_ask(struct bus_client *client, const struct bus_request *request, struct bus_answer *ret_answer) {
    if (client->proxy.ask) {
        answer_init(ret_answer);
        client->proxy.ask(client->proxy.context, request, ret_answer);
        now_read(&ret_answer->now);
        return;
    }
    connect_again(client, ret_answer);
    if (client->fd >= 0 && client->spec->kind == BUS_SERIAL)
        rtu_line_transact(&client->line, request, ret_answer);
    else if (client->fd >= 0 && client->spec->kind == BUS_TCP)
        ask_tcp(client, request, ret_answer);
    else if (client->fd >= 0)
        ask_rtu_over_tcp(client, request, ret_answer);
    now_read(&ret_answer->now);
}

/* ---- functions of unknown length ---- */

static bool is_answer(const uint8_t *bytes, const struct bus_request *request) {
    return bytes[0] == request->unit_id && (bytes[1] & 0x7F) == request->pdu.bytes[0];
}

/* The longest frame of that unit and function whose CRC is right, anywhere in the bytes but at the request's own echo. */
static bool find_frame(const uint8_t *bytes, size_t size, const struct bus_request *request, struct pdu *ret_pdu) {
    uint8_t echo[FRAME_SIZE];
    size_t echo_size = frame_rtu(request->unit_id, &request->pdu, echo);
    for (size_t at = 0; at + 5 <= size; at++) {
        if (!is_answer(bytes + at, request))
            continue;
        if (size - at >= echo_size && memcmp(bytes + at, echo, echo_size) == 0) {
            at += echo_size - 1;
            continue;
        }
        for (size_t end = size - at < FRAME_SIZE - 4 ? size - at : FRAME_SIZE - 4; end >= 5; end--) {
            uint16_t crc = frame_crc(bytes + at, end - 2);
            if (bytes[at + end - 2] != (crc & 0xFF) || bytes[at + end - 1] != crc >> 8)
                continue;
            ret_pdu->size = (uint8_t)(end - 3);
            memcpy(ret_pdu->bytes, bytes + at + 1, ret_pdu->size);
            return true;
        }
    }
    return false;
}

static bool find_tcp(const struct bus_client *client, const uint8_t *bytes, size_t size, const struct bus_request *request, struct pdu *ret_pdu) {
    for (size_t at = 0; at + TCP_HEADER_SIZE + 2 <= size;) {
        size_t length = (size_t)bytes[at + 4] << 8 | bytes[at + 5];
        if (length < 3 || length > PDU_SIZE + 1 || at + 6 + length > size)
            return false;
        if ((bytes[at] << 8 | bytes[at + 1]) == client->transaction && is_answer(bytes + at + 6, request)) {
            ret_pdu->size = (uint8_t)(length - 1);
            memcpy(ret_pdu->bytes, bytes + at + TCP_HEADER_SIZE, ret_pdu->size);
            return true;
        }
        at += 6 + length;
    }
    return false;
}

/* Gathers until a frame is there and, on a line, a pause has followed. */
static void gather(struct bus_client *client, const struct bus_request *request, struct bus_answer *answer) {
    uint8_t bytes[GATHER_SIZE];
    size_t size = 0;
    bool serial = client->spec->kind == BUS_SERIAL;
    int64_t pause_us = serial ? rtu_line_byte_timeout_us(&client->line.timing) : 0;
    int64_t sent_us = now_mono_us() + (serial ? line_bytes_us(&client->line.timing, 3 + (size_t)request->pdu.size) : 0);
    int64_t until_us = sent_us + request->timeout_us, end_us = until_us + (serial ? line_bytes_us(&client->line.timing, FRAME_SIZE) : 0);
    while (size < sizeof(bytes) && answer->status == BUS_TIMEOUT) {
        ssize_t length = read_until(client, bytes + size, sizeof(bytes) - size, until_us, answer);
        if (length < 0)
            return;
        size += (size_t)length;
        if (client->spec->kind == BUS_TCP ? find_tcp(client, bytes, size, request, &answer->pdu) : find_frame(bytes, size, request, &answer->pdu))
            answer->status = BUS_ANSWERED;
        if (now_mono_us() >= until_us)
            break;
        if (serial && length > 0 && now_mono_us() + pause_us < end_us)
            until_us = now_mono_us() + pause_us > until_us ? now_mono_us() + pause_us : until_us;
    }
    if (answer->status == BUS_TIMEOUT && size > 0)
        answer->status = BUS_CORRUPT;
    client->line.busy_until_us = now_mono_us();
}

void bus_client_ask_any(struct bus_client *client, const struct bus_request *request, struct bus_answer *ret_answer) {
    uint8_t frame[FRAME_SIZE], heard[FRAME_SIZE];
    if (client->proxy.ask) { /* it only reads */
        answer_init(ret_answer);
        now_read(&ret_answer->now);
        return;
    }
    connect_again(client, ret_answer);
    if (client->fd < 0)
        return;
    int64_t silence_us = line_silence_us(&client->line.timing);
    for (int64_t until_us = client->line.busy_until_us + silence_us, end_us = now_mono_us() + RTU_LINE_BABBLE_US; now_mono_us() < end_us;
         until_us = now_mono_us() + silence_us) {
        ssize_t length = read_until(client, heard, sizeof(heard), until_us, ret_answer);
        if (length < 0)
            return;
        if (length == 0)
            break;
        client->strays += (uint64_t)length;
    }
    size_t size = client->spec->kind == BUS_TCP ? frame_tcp(++client->transaction, request->unit_id, &request->pdu, frame)
                                                : frame_rtu(request->unit_id, &request->pdu, frame);
    if (send_all(client, frame, size, ret_answer))
        gather(client, request, ret_answer);
    if (ret_answer->status != BUS_ANSWERED && client->spec->kind != BUS_SERIAL)
        close_any(client); /* who knows what a device that does not know the function makes of the bytes after it */
    now_read(&ret_answer->now);
}

ssize_t bus_client_hear(struct bus_client *client, uint8_t *bytes, size_t size, int64_t until_us) {
    struct bus_answer answer;
    answer_init(&answer);
    if (client->proxy.ask) {
        (void)wait_for(-1, 0, until_us);
        return 0;
    }
    ssize_t length = read_until(client, bytes, size, until_us, &answer);
    if (length > 0)
        client->line.busy_until_us = now_mono_us();
    return length;
}
