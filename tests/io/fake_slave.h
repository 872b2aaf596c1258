/* SPDX-License-Identifier: Apache-2.0 */
/* A Modbus slave of the test's own, on a pty or on a loopback TCP port, in a thread. For each request a script decides what
 * goes back: the good answer, or any kind of wrong. Holding register n contains n + 0x1000, all bits are 0, all written values are accepted. */
#ifndef YANHUO_FAKE_SLAVE_H
#define YANHUO_FAKE_SLAVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_slave;

/* `good` is the whole right answer as a frame, `request` the whole request. Returns false to close the connection. */
typedef bool fake_script(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size);

struct fake_slave {
    bool tcp, rtu_frames;
    int fd;        /* pty master, or the listening socket; -1: gone */
    int peer;      /* the connection that is served */
    int held;      /* the pty's other end, kept open so that the port does not hang up between two openings; -1 on TCP */
    uint16_t port; /* TCP */
    char path[64]; /* pty */
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint requests, connections;
    _Atomic(fake_script *) script;
};

void fake_slave_pty(struct fake_slave *slave, fake_script *script);
/* `port` 0: any free one. */
void fake_slave_tcp(struct fake_slave *slave, uint16_t port, bool rtu_frames, fake_script *script);
void fake_slave_stop(struct fake_slave *slave);

void fake_send(struct fake_slave *slave, const void *bytes, size_t size);
void fake_pause_ms(unsigned ms);

fake_script fake_good, fake_silent, fake_only_writes;

#endif
