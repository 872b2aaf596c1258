/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_field.h"

#include <poll.h>
#include <pty.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "fake_slave.h"
#include "sensors/frame.h"

#define PAUSE_MS 8 /* ends a request */

static bool can_read(const struct fake_field_device *device, unsigned address) {
    return address < device->count || (address && (address == device->address_register || address == device->baud_register));
}

static void exception(const uint8_t *request, uint8_t code, struct pdu *ret_pdu) {
    *ret_pdu = (struct pdu){{request[0] | 0x80, code}, 2};
}

static void do_read(const struct fake_field_device *device, const uint8_t *request, struct pdu *ret_pdu) {
    unsigned address = (unsigned)(request[1] << 8 | request[2]), count = (unsigned)(request[3] << 8 | request[4]);
    if (count == 0 || count > 125) {
        exception(request, 3, ret_pdu);
        return;
    }
    *ret_pdu = (struct pdu){{request[0], (uint8_t)(2 * count)}, (uint8_t)(2 + 2 * count)};
    for (unsigned i = 0; i < count; i++) {
        if (!can_read(device, address + i)) {
            exception(request, 2, ret_pdu);
            return;
        }
        ret_pdu->bytes[2 + 2 * i] = (uint8_t)(device->registers[address + i] >> 8);
        ret_pdu->bytes[3 + 2 * i] = (uint8_t)device->registers[address + i];
    }
}

static void do_write(struct fake_field *field, struct fake_field_device *device, const uint8_t *request, struct pdu *ret_pdu) {
    unsigned address = (unsigned)(request[1] << 8 | request[2]), value = (unsigned)(request[3] << 8 | request[4]);
    if (!address || (address != device->address_register && address != device->baud_register)) {
        exception(request, 2, ret_pdu);
        return;
    }
    memcpy(ret_pdu->bytes, request, 5);
    ret_pdu->size = 5;
    device->registers[address] = (uint16_t)value;
    atomic_fetch_add(&field->writes, 1);
    if (device->at_next_start)
        return;
    if (address == device->address_register)
        device->unit_id = (uint8_t)value;
    else
        device->speed = device->speeds[value % 8];
}

static void answer(struct fake_field *field, struct fake_field_device *device, const uint8_t *request, struct pdu *ret_pdu) {
    static const uint8_t identity[] = {0x2B, 0x0E, 1, 1, 0, 0, 2, 0, 4, 'A', 'c', 'm', 'e', 1, 3, 'X', '-', '1'};
    if (request[0] == FC_READ_HOLDING) {
        do_read(device, request, ret_pdu);
    } else if (request[0] == FC_WRITE_REGISTER) {
        do_write(field, device, request, ret_pdu);
    } else if (request[0] == identity[0] && device->identifies) {
        memcpy(ret_pdu->bytes, identity, sizeof(identity));
        ret_pdu->size = sizeof(identity);
    } else {
        exception(request, 1, ret_pdu);
    }
}

/* What all who are asked say, at the same time: bits that differ are neither's. */
static void on_request(struct fake_field *field, const uint8_t *request, size_t size) {
    struct termios settings;
    uint8_t line[FRAME_SIZE], frame[FRAME_SIZE];
    size_t line_size = 0;
    unsigned turnaround_ms = 0;
    uint16_t crc = frame_crc(request, size - 2);
    if (request[size - 2] != (crc & 0xFF) || request[size - 1] != crc >> 8)
        return;
    CHECK(tcgetattr(field->fd, &settings) == 0);
    for (unsigned i = 0; i < field->devices_count; i++) {
        struct fake_field_device *device = &field->devices[i];
        struct pdu pdu;
        if (device->unit_id != request[0] || device->speed != cfgetospeed(&settings))
            continue;
        uint8_t unit_id = device->unit_id;
        answer(field, device, request + 1, &pdu);
        size_t frame_size = frame_rtu(unit_id, &pdu, frame);
        for (size_t at = 0; at < frame_size; at++)
            line[at] = at < line_size ? line[at] & frame[at] : frame[at];
        line_size = frame_size > line_size ? frame_size : line_size;
        turnaround_ms = device->turnaround_ms > turnaround_ms ? device->turnaround_ms : turnaround_ms;
    }
    if (line_size == 0)
        return;
    fake_pause_ms(turnaround_ms);
    CHECK(write(field->fd, line, line_size) == (ssize_t)line_size);
}

static void *run(void *context) {
    struct fake_field *field = context;
    uint8_t request[FRAME_SIZE];
    size_t size = 0;
    while (!atomic_load(&field->stopping)) {
        struct pollfd poll_fd = {.fd = field->fd, .events = POLLIN};
        bool readable = poll(&poll_fd, 1, PAUSE_MS) > 0 && (poll_fd.revents & POLLIN);
        ssize_t got = readable && size < sizeof(request) ? read(field->fd, request + size, sizeof(request) - size) : 0;
        size += got > 0 ? (size_t)got : 0;
        atomic_fetch_add(&field->bytes_heard, got > 0 ? (unsigned)got : 0u);
        if (readable && size < sizeof(request))
            continue;
        if (size >= 4)
            on_request(field, request, size);
        size = 0;
    }
    return NULL;
}

void fake_field_start(struct fake_field *field) {
    struct termios raw;
    CHECK(openpty(&field->fd, &field->held, field->path, NULL, NULL) == 0);
    CHECK(tcgetattr(field->held, &raw) == 0);
    cfmakeraw(&raw);
    CHECK(tcsetattr(field->held, TCSANOW, &raw) == 0);
    atomic_init(&field->stopping, false);
    atomic_init(&field->writes, 0);
    atomic_init(&field->bytes_heard, 0);
    CHECK(pthread_create(&field->thread, NULL, run, field) == 0);
}

void fake_field_stop(struct fake_field *field) {
    atomic_store(&field->stopping, true);
    pthread_join(field->thread, NULL);
    close(field->held);
    close(field->fd);
}
