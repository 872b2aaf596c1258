/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the Modbus protocol. Every request is built here and every reply is compared with its request here, so that both
 * kinds of bus and the simulator agree. All numbers on the wire are high byte first but the CRC, which is low byte first. */
#include "sensors/frame.h"

#include <string.h>

#include "base/check.h"

#define REGISTERS_WRITE_MAX 123
#define EXCEPTION_FLAG 0x80
#define EXCEPTION_SIZE 2
#define WRITE_ECHO_SIZE 5 /* function, address, value or count */
#define TCP_HEADER_SIZE 7
#define RTU_SILENCE_US 1750 /* above RTU_SILENCE_BAUD the silence no longer shrinks with the character */
#define RTU_SILENCE_BAUD 19200

static void put_u16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)(value & 0xFF);
}

static uint16_t get_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static bool reads_bits(unsigned function) {
    return function == FC_READ_COILS || function == FC_READ_DISCRETE;
}

static bool reads(unsigned function) {
    return function >= FC_READ_COILS && function <= FC_READ_INPUT;
}

static void build(struct pdu *ret_pdu, enum frame_function function, uint16_t address, uint16_t argument) {
    ret_pdu->bytes[0] = (uint8_t)function;
    put_u16(&ret_pdu->bytes[1], address);
    put_u16(&ret_pdu->bytes[3], argument);
    ret_pdu->size = 5;
}

void frame_read(struct pdu *ret_pdu, enum frame_function function, uint16_t address, uint16_t count) {
    CHECK(reads(function));
    CHECK(count >= 1 && count <= (reads_bits(function) ? BITS_READ_MAX : REGISTERS_READ_MAX));
    CHECK((uint32_t)address + count <= 0x10000);
    build(ret_pdu, function, address, count);
}

void frame_write_coil(struct pdu *ret_pdu, uint16_t address, uint16_t raw) {
    build(ret_pdu, FC_WRITE_COIL, address, raw);
}

void frame_write_register(struct pdu *ret_pdu, uint16_t address, uint16_t value) {
    build(ret_pdu, FC_WRITE_REGISTER, address, value);
}

void frame_write_registers(struct pdu *ret_pdu, uint16_t address, const uint16_t *values, uint16_t count) {
    CHECK(count >= 1 && count <= REGISTERS_WRITE_MAX);
    CHECK((uint32_t)address + count <= 0x10000);
    build(ret_pdu, FC_WRITE_REGISTERS, address, count);
    ret_pdu->bytes[5] = (uint8_t)(2 * count);
    for (uint16_t i = 0; i < count; i++)
        put_u16(&ret_pdu->bytes[6 + 2 * i], values[i]);
    ret_pdu->size = (uint8_t)(6 + 2 * count);
}

size_t frame_reply_size(const struct pdu *request) {
    CHECK(request->size >= 5);
    uint16_t count = get_u16(&request->bytes[3]);
    if (reads_bits(request->bytes[0]))
        return 2 + ((size_t)count + 7) / 8;
    if (reads(request->bytes[0]))
        return 2 + (size_t)count * 2;
    return WRITE_ECHO_SIZE;
}

enum frame_verdict frame_match(const struct pdu *request, const uint8_t *reply, size_t reply_size, uint8_t *ret_exception, const uint8_t **ret_data,
                               size_t *ret_data_size) {
    uint8_t function = request->bytes[0];
    *ret_exception = 0;
    *ret_data = NULL;
    *ret_data_size = 0;
    if (reply_size == EXCEPTION_SIZE && reply[0] == (function | EXCEPTION_FLAG) && reply[1] != 0) {
        *ret_exception = reply[1];
        return FRAME_EXCEPTION;
    }
    if (reply_size != frame_reply_size(request) || reply[0] != function)
        return FRAME_MISMATCH;
    if (!reads(function)) /* the echo repeats function, address, and value or count */
        return memcmp(reply, request->bytes, WRITE_ECHO_SIZE) == 0 ? FRAME_GOOD : FRAME_MISMATCH;
    if (reply[1] != reply_size - 2)
        return FRAME_MISMATCH;
    *ret_data = reply + 2;
    *ret_data_size = reply_size - 2;
    return FRAME_GOOD;
}

uint16_t frame_crc(const uint8_t *bytes, size_t size) {
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
    }
    return crc;
}

size_t frame_rtu(uint8_t unit_id, const struct pdu *pdu, uint8_t ret_frame[FRAME_SIZE]) {
    size_t size = 1 + (size_t)pdu->size;
    ret_frame[0] = unit_id;
    memcpy(ret_frame + 1, pdu->bytes, pdu->size);
    uint16_t crc = frame_crc(ret_frame, size);
    ret_frame[size] = (uint8_t)(crc & 0xFF);
    ret_frame[size + 1] = (uint8_t)(crc >> 8);
    return size + 2;
}

size_t frame_tcp(uint16_t transaction, uint8_t unit_id, const struct pdu *pdu, uint8_t ret_frame[FRAME_SIZE]) {
    put_u16(&ret_frame[0], transaction);
    put_u16(&ret_frame[2], 0); /* protocol: Modbus */
    put_u16(&ret_frame[4], (uint16_t)(1 + pdu->size));
    ret_frame[6] = unit_id;
    memcpy(ret_frame + TCP_HEADER_SIZE, pdu->bytes, pdu->size);
    return TCP_HEADER_SIZE + (size_t)pdu->size;
}

/* All three round up: a silence that is a little too long is harmless, one too short is not. A line of 0 baud stands for a
 * network connection, on which characters take no time. */
static int64_t divide_up(int64_t dividend, int64_t divisor) {
    return divisor == 0 ? 0 : (dividend + divisor - 1) / divisor;
}

int64_t line_character_ns(const struct line_timing *line) {
    return divide_up((int64_t)line->bits_per_character * 1000000000, line->baud);
}

int64_t line_silence_us(const struct line_timing *line) {
    if (line->baud > RTU_SILENCE_BAUD)
        return RTU_SILENCE_US;
    return divide_up((int64_t)line->bits_per_character * 3500000, line->baud);
}

int64_t line_bytes_us(const struct line_timing *line, size_t bytes) {
    return divide_up((int64_t)line->bits_per_character * (int64_t)bytes * 1000000, line->baud);
}

const char *frame_exception_name(uint8_t code) {
    static const char *const names[] = {
        [1] = "illegal function",
        [2] = "illegal data address",
        [3] = "illegal data value",
        [4] = "device failure",
        [5] = "acknowledge",
        [6] = "device busy",
        [7] = "negative acknowledge",
        [8] = "memory parity error",
        [10] = "gateway path unavailable",
        [11] = "gateway target device failed to respond",
    };
    if (code >= ARRAY_COUNT(names) || names[code] == NULL)
        return "unknown exception";
    return names[code];
}
