/* SPDX-License-Identifier: Apache-2.0 */
/* Modbus TCP endpoints for the benchmark, all in one thread: each reply's first four registers hold the wall clock in
 * microseconds at which it was sent, high word first, so that whoever gets the published value knows its age.
 *
 *   server ENDPOINTS SILENT REFUSING SLOW SLOW_MS FILE
 *
 * The first SILENT endpoints accept and never answer, the next REFUSING refuse connections, the next SLOW answer after
 * SLOW_MS. Prints the ports, one a line; at each SIGUSR1 how many requests there were until now. SIGTERM ends it: it then writes FILE,
 * one struct served per request. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVED_MAX 4000000
#define CONNECTIONS_MAX 4096 /* by descriptor */
#define DELAYED_MAX 4096
#define REQUEST_SIZE 12 /* a read request: header of 7 bytes, function, address, quantity */

struct served {
    int64_t asked_us, sent_us; /* wall clock; 0 where no answer was given */
    int32_t endpoint, unused;
};

struct connection {
    bool listening;
    int endpoint;
    size_t length;
    uint8_t bytes[260];
};

struct delayed {
    int64_t due_us;
    int fd, endpoint;
    uint8_t request[REQUEST_SIZE];
    size_t record;
};

static struct connection connections[CONNECTIONS_MAX];
static struct delayed delayed[DELAYED_MAX]; /* a ring; the delay is always the same, so the first is always due first */
static unsigned delayed_first, delayed_count;
static struct served *served;
static size_t served_count;
static volatile sig_atomic_t stopping, asked;
static int silent, refusing, slow, slow_ms;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void on_signal(int number) {
    if (number == SIGUSR1)
        asked = 1;
    else
        stopping = 1;
}

static int64_t clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool is_slow(int endpoint) {
    return endpoint >= silent + refusing && endpoint < silent + refusing + slow;
}

static void watch(int epoll, int fd, int endpoint, bool listening) {
    if (fd >= CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    connections[fd] = (struct connection){.listening = listening, .endpoint = endpoint};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static int open_endpoint(int epoll, int endpoint) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        die("bind");
    bool refuses = endpoint >= silent && endpoint < silent + refusing; /* bound, so that nobody else takes the port, but deaf */
    if (!refuses) {
        if (listen(fd, 16) < 0)
            die("listen");
        watch(epoll, fd, endpoint, true);
    }
    return ntohs(address.sin_port);
}

static void put_u16(uint8_t *bytes, unsigned value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static void reply(int fd, const uint8_t *request, struct served *record) {
    unsigned quantity = (unsigned)request[10] << 8 | request[11];
    uint8_t frame[9 + 250] = {0};
    if (quantity > 125)
        quantity = 125;
    memcpy(frame, request, 8); /* transaction, protocol, length (set below), unit, function */
    put_u16(frame + 4, 3 + 2 * quantity);
    frame[8] = (uint8_t)(2 * quantity);
    for (unsigned i = 4; i < quantity; i++)
        put_u16(frame + 9 + 2 * i, 1000 * i + (unsigned)record->endpoint);
    int64_t now_us = clock_us(CLOCK_REALTIME);
    for (unsigned i = 0; i < 4 && i < quantity; i++)
        put_u16(frame + 9 + 2 * i, (unsigned)((uint64_t)now_us >> (48 - 16 * i)) & 0xFFFF);
    record->sent_us = now_us;
    if (send(fd, frame, 9 + 2 * quantity, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET && errno != EBADF)
        die("send");
}

static void take_request(int fd, struct connection *connection) {
    if (served_count == SERVED_MAX)
        return;
    size_t index = served_count++;
    served[index] = (struct served){.asked_us = clock_us(CLOCK_REALTIME), .endpoint = connection->endpoint};
    if (connection->endpoint < silent)
        return;
    if (!is_slow(connection->endpoint)) {
        reply(fd, connection->bytes, &served[index]);
        return;
    }
    if (delayed_count == DELAYED_MAX)
        return;
    struct delayed *later = &delayed[(delayed_first + delayed_count++) % DELAYED_MAX];
    *later = (struct delayed){.due_us = clock_us(CLOCK_MONOTONIC) + slow_ms * 1000, .fd = fd, .endpoint = connection->endpoint, .record = index};
    memcpy(later->request, connection->bytes, REQUEST_SIZE);
}

static void receive(int fd) {
    struct connection *connection = &connections[fd];
    ssize_t got = recv(fd, connection->bytes + connection->length, sizeof(connection->bytes) - connection->length, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            connection->endpoint = -1;
            close(fd);
        }
        return;
    }
    connection->length += (size_t)got;
    while (connection->length >= REQUEST_SIZE) {
        take_request(fd, connection);
        connection->length -= REQUEST_SIZE;
        memmove(connection->bytes, connection->bytes + REQUEST_SIZE, connection->length);
    }
}

static int answer_delayed(void) {
    for (; delayed_count; delayed_count--, delayed_first = (delayed_first + 1) % DELAYED_MAX) {
        struct delayed *first = &delayed[delayed_first];
        int64_t wait_us = first->due_us - clock_us(CLOCK_MONOTONIC);
        if (wait_us > 0)
            return (int)(wait_us / 1000) + 1;
        if (connections[first->fd].endpoint == first->endpoint)
            reply(first->fd, first->request, &served[first->record]);
    }
    return -1;
}

static void serve(int epoll) {
    struct epoll_event events[64];
    while (!stopping) {
        int count = epoll_wait(epoll, events, 64, answer_delayed());
        if (asked) {
            asked = 0;
            printf("%zu\n", served_count);
            fflush(stdout);
        }
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (!connections[fd].listening) {
                receive(fd);
                continue;
            }
            int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
            if (accepted < 0)
                continue;
            setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            watch(epoll, accepted, connections[fd].endpoint, false);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: server ENDPOINTS SILENT REFUSING SLOW SLOW_MS FILE\n");
        return 2;
    }
    int endpoints = atoi(argv[1]);
    silent = atoi(argv[2]);
    refusing = atoi(argv[3]);
    slow = atoi(argv[4]);
    slow_ms = atoi(argv[5]);
    struct rlimit files = {.rlim_cur = CONNECTIONS_MAX, .rlim_max = CONNECTIONS_MAX};
    setrlimit(RLIMIT_NOFILE, &files);
    served = calloc(SERVED_MAX, sizeof(*served));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!served || epoll < 0)
        die("start");
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < endpoints; i++)
        printf("%d\n", open_endpoint(epoll, i));
    fflush(stdout);
    serve(epoll);
    FILE *file = fopen(argv[6], "wb");
    if (!file || fwrite(served, sizeof(*served), served_count, file) != served_count || fclose(file) != 0)
        die(argv[6]);
    return 0;
}
