/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_slave.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "sensors/frame.h"

#define LOOK_MS 5 /* how often a waiting slave looks whether it is to stop */

void fake_pause_ms(unsigned ms) {
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        ;
}

void fake_send(struct fake_slave *slave, const void *bytes, size_t size) {
    const uint8_t *next = bytes;
    while (size > 0) {
        ssize_t sent = slave->tcp ? send(slave->peer, next, size, MSG_NOSIGNAL) : write(slave->peer, next, size);
        if (sent <= 0)
            return; /* the other side is gone: the test sees it */
        next += sent;
        size -= (size_t)sent;
    }
}

bool fake_good(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    fake_send(slave, good, good_size);
    return true;
}

bool fake_only_writes(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    uint8_t function = slave->tcp && !slave->rtu_frames ? request[7] : request[1];
    return function < 5 || fake_good(slave, request, request_size, good, good_size);
}

bool fake_silent(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)slave;
    (void)request;
    (void)request_size;
    (void)good;
    (void)good_size;
    return true;
}

static void build_good(const uint8_t *pdu, struct pdu *ret_answer) {
    uint16_t address = (uint16_t)(pdu[1] << 8 | pdu[2]), count = (uint16_t)(pdu[3] << 8 | pdu[4]);
    if (pdu[0] > FC_READ_INPUT) {
        memcpy(ret_answer->bytes, pdu, 5);
        ret_answer->size = 5;
        return;
    }
    ret_answer->bytes[0] = pdu[0];
    if (pdu[0] <= FC_READ_DISCRETE) {
        ret_answer->bytes[1] = (uint8_t)((count + 7) / 8);
        memset(&ret_answer->bytes[2], 0, ret_answer->bytes[1]);
        ret_answer->size = (uint8_t)(2 + ret_answer->bytes[1]);
        return;
    }
    ret_answer->bytes[1] = (uint8_t)(count * 2);
    for (uint16_t i = 0; i < count; i++) {
        uint16_t value = (uint16_t)(0x1000 + address + i);
        ret_answer->bytes[2 + 2 * i] = (uint8_t)(value >> 8);
        ret_answer->bytes[3 + 2 * i] = (uint8_t)value;
    }
    ret_answer->size = (uint8_t)(2 + count * 2);
}

/* Waits for readability. False: time to stop. */
static bool readable(struct fake_slave *slave, int fd) {
    while (!atomic_load(&slave->stopping)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, LOOK_MS) > 0 && poll_fd.revents & POLLIN)
            return true;
        if (poll_fd.revents & POLLHUP)
            fake_pause_ms(LOOK_MS); /* nobody has the pty's other end open */
    }
    return false;
}

static bool read_whole(struct fake_slave *slave, uint8_t *bytes, size_t size) {
    for (size_t have = 0; have < size;) {
        if (!readable(slave, slave->peer))
            return false;
        ssize_t got = read(slave->peer, bytes + have, size - have);
        if (got <= 0 && slave->tcp)
            return false;
        have += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Requests are 8 bytes on a line, 12 on TCP: reads and writes of one value. */
static void serve(struct fake_slave *slave) {
    bool rtu = !slave->tcp || slave->rtu_frames;
    uint8_t request[12], good[FRAME_SIZE];
    size_t request_size = rtu ? 8 : 12;
    while (read_whole(slave, request, request_size)) {
        struct pdu answer;
        build_good(request + (rtu ? 1 : 7), &answer);
        size_t good_size =
            rtu ? frame_rtu(request[0], &answer, good) : frame_tcp((uint16_t)(request[0] << 8 | request[1]), request[6], &answer, good);
        atomic_fetch_add(&slave->requests, 1);
        if (!atomic_load(&slave->script)(slave, request, request_size, good, good_size))
            return;
    }
}

static void *run(void *context) {
    struct fake_slave *slave = context;
    if (!slave->tcp) {
        slave->peer = slave->fd;
        serve(slave);
        return NULL;
    }
    while (readable(slave, slave->fd)) {
        slave->peer = accept(slave->fd, NULL, NULL);
        CHECK(slave->peer >= 0);
        atomic_fetch_add(&slave->connections, 1);
        serve(slave);
        close(slave->peer);
    }
    return NULL;
}

static void start(struct fake_slave *slave, fake_script *script) {
    atomic_init(&slave->stopping, false);
    atomic_init(&slave->requests, 0);
    atomic_init(&slave->connections, 0);
    atomic_init(&slave->script, script);
    CHECK(pthread_create(&slave->thread, NULL, run, slave) == 0);
}

void fake_slave_pty(struct fake_slave *slave, fake_script *script) {
    struct termios raw;
    memset(slave, 0, sizeof(*slave));
    CHECK(openpty(&slave->fd, &slave->held, slave->path, NULL, NULL) == 0);
    CHECK(tcgetattr(slave->held, &raw) == 0);
    cfmakeraw(&raw);
    CHECK(tcsetattr(slave->held, TCSANOW, &raw) == 0);
    start(slave, script);
}

void fake_slave_tcp(struct fake_slave *slave, uint16_t port, bool rtu_frames, fake_script *script) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int one = 1;
    memset(slave, 0, sizeof(*slave));
    slave->tcp = true;
    slave->rtu_frames = rtu_frames;
    slave->held = -1;
    slave->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(slave->fd >= 0);
    CHECK(setsockopt(slave->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
    CHECK(bind(slave->fd, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(slave->fd, (struct sockaddr *)&address, &size) == 0);
    CHECK(listen(slave->fd, 16) == 0);
    slave->port = ntohs(address.sin_port);
    start(slave, script);
}

void fake_slave_stop(struct fake_slave *slave) {
    if (slave->fd < 0)
        return;
    atomic_store(&slave->stopping, true);
    pthread_join(slave->thread, NULL);
    if (slave->held >= 0)
        close(slave->held);
    close(slave->fd);
    slave->fd = -1;
}
