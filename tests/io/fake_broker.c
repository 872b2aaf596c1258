/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/fake_broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct packet {
    uint8_t type; /* upper half of the first byte */
    uint32_t size;
    uint8_t bytes[70000];
};

static bool read_whole(struct fake_broker *fake, int fd, uint8_t *bytes, size_t size) {
    while (size) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (fake->stop)
            return false;
        if (poll(&readable, 1, 50) == 0)
            continue;
        ssize_t length = read(fd, bytes, size);
        if (length <= 0)
            return false;
        bytes += length;
        size -= (size_t)length;
    }
    return true;
}

static bool read_packet(struct fake_broker *fake, int fd, struct packet *packet) {
    uint8_t byte;
    if (!read_whole(fake, fd, &byte, 1))
        return false;
    packet->type = byte >> 4;
    packet->size = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        if (!read_whole(fake, fd, &byte, 1))
            return false;
        packet->size |= (uint32_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            break;
    }
    return packet->size <= sizeof packet->bytes && read_whole(fake, fd, packet->bytes, packet->size);
}

static void write_bytes(int fd, const uint8_t *bytes, size_t size) {
    (void)!send(fd, bytes, size, MSG_NOSIGNAL);
}

/* The answer to CONNECT; false when the connection is over. */
static bool greet(struct fake_broker *fake, int fd, uint8_t version) {
    enum fake_answer answer = version == 5 ? fake->answer5 : fake->answer4;
    uint8_t code = version == 5 ? fake->code5 : fake->code4;
    if (version == 5)
        fake->connects5++;
    else
        fake->connects4++;
    uint16_t receive_max = fake->receive_max;
    if (answer == FAKE_ACCEPT && version == 5 && receive_max)
        write_bytes(fd, (const uint8_t[]){0x20, 6, 0, 0, 3, 0x21, (uint8_t)(receive_max >> 8), (uint8_t)receive_max}, 8);
    else if (answer == FAKE_ACCEPT && version == 5)
        write_bytes(fd, (const uint8_t[]){0x20, 3, 0, 0, 0}, 5);
    else if (answer == FAKE_ACCEPT)
        write_bytes(fd, (const uint8_t[]){0x20, 2, 0, 0}, 4);
    else if (answer == FAKE_REFUSE && code >= 0x80)
        write_bytes(fd, (const uint8_t[]){0x20, 3, 0, code, 0}, 5);
    else if (answer == FAKE_REFUSE)
        write_bytes(fd, (const uint8_t[]){0x20, 2, 0, code}, 4);
    return answer == FAKE_ACCEPT || answer == FAKE_SILENT;
}

/* One buffer each: several brokers may be playing. */
static void serve(struct fake_broker *fake, int fd) {
    static _Thread_local struct packet packet;
    uint8_t byte;
    while (fake->deaf && read_whole(fake, fd, &byte, 1)) {
    }
    uint8_t version = 0;
    while (read_packet(fake, fd, &packet)) {
        if (packet.type == 1) { /* CONNECT: "MQTT", then the version */
            version = packet.bytes[6];
            if (!greet(fake, fd, version))
                return;
        } else if (packet.type == 3) { /* PUBLISH at QoS 1 */
            size_t at = 2 + ((size_t)packet.bytes[0] << 8 | packet.bytes[1]);
            fake->publishes++;
            if (fake->reason) { /* MQTT 5: PUBACK with a reason */
                write_bytes(fd, (const uint8_t[]){0x40, 3, packet.bytes[at], packet.bytes[at + 1], fake->reason}, 5);
                continue;
            }
            if (fake->leave_code) {
                write_bytes(fd, (const uint8_t[]){0xE0, 2, fake->leave_code, 0}, 4);
                return;
            }
            if (!fake->mute)
                write_bytes(fd, (const uint8_t[]){0x40, 2, packet.bytes[at], packet.bytes[at + 1]}, 4);
        } else if (packet.type == 8) { /* SUBSCRIBE: refused */
            fake->subscribes++;
            if (version == 5)
                write_bytes(fd, (const uint8_t[]){0x90, 4, packet.bytes[0], packet.bytes[1], 0, 0x87}, 6);
            else
                write_bytes(fd, (const uint8_t[]){0x90, 3, packet.bytes[0], packet.bytes[1], 0x80}, 5);
        } else if (packet.type == 12) { /* PINGREQ */
            write_bytes(fd, (const uint8_t[]){0xD0, 0}, 2);
        } else if (packet.type == 14) { /* DISCONNECT */
            return;
        }
    }
}

static void *fake_run(void *context) {
    struct fake_broker *fake = context;
    while (!fake->stop) {
        struct pollfd readable = {.fd = fake->listen_fd, .events = POLLIN};
        if (poll(&readable, 1, 50) != 1)
            continue;
        int fd = accept(fake->listen_fd, NULL, NULL);
        if (fd < 0)
            continue;
        serve(fake, fd);
        close(fd);
    }
    return NULL;
}

void fake_broker_start(struct fake_broker *fake) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(fake, 0, sizeof *fake);
    fake->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fake->listen_fd >= 0);
    assert_int_equal(bind(fake->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fake->listen_fd, 8), 0);
    assert_int_equal(getsockname(fake->listen_fd, (struct sockaddr *)&address, &size), 0);
    fake->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
}

void fake_broker_stop(struct fake_broker *fake) {
    fake->stop = true;
    pthread_join(fake->thread, NULL);
    close(fake->listen_fd);
}
