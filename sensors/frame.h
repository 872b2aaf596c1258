/* SPDX-License-Identifier: Apache-2.0 */
/* Modbus requests and replies as bytes: building request PDUs, checking reply PDUs, and the RTU and TCP envelopes.
 * Pure; any thread. Source: Modbus application protocol v1.1b3 and Modbus over serial line v1.02. */
#ifndef YANHUO_FRAME_H
#define YANHUO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

enum frame_function {
    FC_READ_COILS = 1,
    FC_READ_DISCRETE = 2,
    FC_READ_HOLDING = 3,
    FC_READ_INPUT = 4,
    FC_WRITE_COIL = 5,
    FC_WRITE_REGISTER = 6,
    FC_WRITE_COILS = 15,
    FC_WRITE_REGISTERS = 16,
};

struct pdu {
    uint8_t bytes[PDU_SIZE];
    uint8_t size;
};

/* Requests. Counts outside the protocol's limits are our own mistake (CHECK). */
void frame_read(struct pdu *ret_pdu, enum frame_function function, uint16_t address, uint16_t count);
void frame_write_coil(struct pdu *ret_pdu, uint16_t address, uint16_t raw);
void frame_write_register(struct pdu *ret_pdu, uint16_t address, uint16_t value);
void frame_write_registers(struct pdu *ret_pdu, uint16_t address, const uint16_t *values, uint16_t count);

/* Size of the good reply that a request must get; exceptions are 2 bytes. */
size_t frame_reply_size(const struct pdu *request);

enum frame_verdict { FRAME_GOOD, FRAME_EXCEPTION, FRAME_MISMATCH };

/* Is `reply` the answer to `request`: same function, right length and byte count, write echoes equal. On FRAME_EXCEPTION the
 * exception code is returned. On FRAME_GOOD of a read, *ret_data points at the payload inside the reply. */
enum frame_verdict frame_match(const struct pdu *request, const uint8_t *reply, size_t reply_size, uint8_t *ret_exception, const uint8_t **ret_data,
                               size_t *ret_data_size);

/* RTU: unit id, PDU, CRC-16 low byte first (polynomial 0xA001, start 0xFFFF). Returns the frame's size. */
uint16_t frame_crc(const uint8_t *bytes, size_t size);
size_t frame_rtu(uint8_t unit_id, const struct pdu *pdu, uint8_t ret_frame[FRAME_SIZE]);

/* TCP: the seven-byte header and the PDU. Returns the frame's size. */
size_t frame_tcp(uint16_t transaction, uint8_t unit_id, const struct pdu *pdu, uint8_t ret_frame[FRAME_SIZE]);

/* Wire time. One character is start + 8 data + parity + stop bits. */
struct line_timing {
    uint32_t baud;
    uint8_t bits_per_character; /* 10 for 8N1, 11 for 8E1, 8O1, 8N2 */
};
int64_t line_character_ns(const struct line_timing *line);
/* 3.5 characters up to 19200 baud, 1.75 ms above (serial line v1.02, section 2.5.1.1). */
int64_t line_silence_us(const struct line_timing *line);
int64_t line_bytes_us(const struct line_timing *line, size_t bytes);

const char *frame_exception_name(uint8_t code); /* "illegal data address" */

#endif
