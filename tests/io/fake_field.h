/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line with devices as they come from their makers: each answers only at its own speed, and takes a new unit id or
 * speed through its registers, at once or at its next start. Two with one unit id answer one over the other. On a pty, in a thread. */
#ifndef YANHUO_FAKE_FIELD_H
#define YANHUO_FAKE_FIELD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#define FAKE_FIELD_DEVICES 4
#define FAKE_FIELD_REGISTERS 0x800

struct fake_field_device {
    atomic_uchar unit_id; /* this and the speed: looked at and changed while the line runs */
    _Atomic speed_t speed;
    unsigned turnaround_ms;
    uint16_t registers[FAKE_FIELD_REGISTERS]; /* holding */
    uint16_t count;                           /* 0 .. count - 1 can be read */
    uint16_t address_register, baud_register; /* can be read and written; 0: none */
    speed_t speeds[8];                        /* by code */
    bool at_next_start;                       /* keeps what is written, and uses it later */
    bool identifies;                          /* answers function 43 */
};

struct fake_field {
    struct fake_field_device devices[FAKE_FIELD_DEVICES];
    unsigned devices_count;
    int fd, held;
    char path[64];
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint writes, bytes_heard;
};

/* The devices have been filled in. */
void fake_field_start(struct fake_field *field);
void fake_field_stop(struct fake_field *field);

#endif
