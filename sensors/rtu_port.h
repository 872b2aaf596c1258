/* SPDX-License-Identifier: Apache-2.0 */
/* A serial port: locked, opened, configured and its settings read back. Part of the shells of serial lines (bus_rtu.c, which
 * keeps one open, and bus_client.c, which a person's command uses). Its .c is the only file that includes modbus.h. */
#ifndef YANHUO_RTU_PORT_H
#define YANHUO_RTU_PORT_H

#include <stdatomic.h>

#include "sensors/bus.h"

struct rtu_port {
    void *modbus; /* NULL: closed */
    atomic_int lock_fd;
    atomic_int fd; /* non-blocking; -1: closed */
};

void rtu_port_init(struct rtu_port *port);

/* Locks the port before anything is changed on it, opens it with libmodbus and reads its speed back. 0, or an errno; EBUSY when
 * somebody else has it, EINVAL when it did not take the speed. After a failure it must be closed too. */
NODISCARD int rtu_port_open(struct rtu_port *port, const struct bus_spec *spec);
void rtu_port_close(struct rtu_port *port);
/* Any thread, while the owner hangs in one of its calls: what keeps others from opening the port is given up. */
void rtu_port_unlock(struct rtu_port *port);

/* How long the adapter behind this port may keep bytes back, in ms, as the driver says under `sysfs` ("/sys"); -1 when it says
 * nothing, which is so for real UARTs. 16 is an FTDI adapter as it comes: at 9600 baud it costs a quarter of the line. */
int rtu_port_latency_ms(const char *sysfs, const char *serial);

/* What a person can do about an errno of rtu_port_open. */
const char *rtu_port_advice(int os_error);

#endif
