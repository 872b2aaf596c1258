/* SPDX-License-Identifier: Apache-2.0 */
/* One simulated Modbus device: the contents of its registers and bits, and its answer to a request PDU, byte for byte as a
 * well-behaved device gives it. Pure: no clock, no I/O; memory from the caller's arena at init only. One owner, any thread.
 * The table of what is answered with which exception stands at the top of slave.c. */
#ifndef YANHUO_SLAVE_H
#define YANHUO_SLAVE_H

#include "base/arena.h"
#include "sensors/decode.h"
#include "sensors/device.h"
#include "sensors/frame.h"

struct slave_cell { /* one address that exists */
    uint16_t address;
    uint16_t raw; /* a bit is 0 or 1 */
    bool writable;
};

struct slave_table { /* ascending by address, each once */
    uint32_t count;
    struct slave_cell *cells;
};

#define SLAVE_TABLES 4 /* indexed by enum point_read - 1 */

struct slave {
    const struct device_spec *spec;
    struct slave_table tables[SLAVE_TABLES];
};

/* What a write request changed. */
struct slave_write {
    bool done; /* false: the request was no write, or was refused */
    enum point_read table;
    uint16_t address, count;
};

/* `spec` must outlive the slave. Every address of a point or of a setup write exists and holds 0. */
void slave_init(struct slave *slave, const struct device_spec *spec, struct arena *arena);

/* Answers a request PDU of `size` bytes (at least 1). Always gives a reply: the good one or an exception. */
void slave_answer(struct slave *slave, const uint8_t *request, size_t size, struct pdu *ret_reply, struct slave_write *ret_write);

/* Sets a point by its engineering value, whether the bus may write it or not. Bits of the same register that belong to other
 * points stay. ERR_RANGE when the point cannot represent the value, and then nothing changed. */
NODISCARD enum err slave_set(struct slave *slave, uint16_t point, const struct value *value);

/* The point as a reader of the bus sees it. */
void slave_get(const struct slave *slave, uint16_t point, struct reading *ret_reading);

/* Raw contents of one register or bit; ERR_NOT_FOUND when no point or setup write is there. */
NODISCARD enum err slave_raw(const struct slave *slave, enum point_read table, uint16_t address, uint16_t *ret_raw);
NODISCARD enum err slave_set_raw(struct slave *slave, enum point_read table, uint16_t address, uint16_t raw);

/* Did the write touch this point? */
bool slave_write_touches(const struct slave_write *write, const struct point *point);

/* Size of the RTU request frame that begins with these bytes: 0 while more bytes are needed to tell, SIZE_MAX when no frame
 * of a function known here begins so. */
size_t slave_rtu_request_size(const uint8_t *bytes, size_t size);

void slave_check(const struct slave *slave);

#endif
