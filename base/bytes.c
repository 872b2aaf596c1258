/* SPDX-License-Identifier: Apache-2.0 */
/* Every put is whole or not at all; after the first that does not fit nothing is written any more. Every get after a
 * failure gives zero, the empty text or NULL. Nothing depends on the machine's byte order or alignment. */
#include "base/bytes.h"

#include <string.h>

#define VARINT_BYTES_MAX 10 /* 64 bits, 7 a byte */

void bytes_writer_init(struct bytes_writer *writer, uint8_t *bytes, size_t size) {
    *writer = (struct bytes_writer){.bytes = bytes, .size = size};
}

void bytes_put_raw(struct bytes_writer *writer, const void *bytes, size_t length) {
    if (writer->full || length > writer->size - writer->length) {
        writer->full = true;
        return;
    }
    if (length)
        memcpy(writer->bytes + writer->length, bytes, length);
    writer->length += length;
}

void bytes_put_u8(struct bytes_writer *writer, uint8_t value) {
    bytes_put_raw(writer, &value, 1);
}

static inline void put_little(struct bytes_writer *writer, uint64_t value, unsigned size) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    bytes_put_raw(writer, bytes, size);
}

void bytes_put_u32(struct bytes_writer *writer, uint32_t value) {
    put_little(writer, value, 4);
}

void bytes_put_u64(struct bytes_writer *writer, uint64_t value) {
    put_little(writer, value, 8);
}

/* Straight to its place where the longest has room: every number of every reading comes through here. */
void bytes_put_varint(struct bytes_writer *writer, uint64_t value) {
    uint8_t aside[VARINT_BYTES_MAX];
    bool room = !writer->full && writer->size - writer->length >= VARINT_BYTES_MAX;
    uint8_t *bytes = room ? writer->bytes + writer->length : aside;
    size_t length = 0;
    while (value >= 0x80) {
        bytes[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[length++] = (uint8_t)value;
    if (room)
        writer->length += length;
    else
        bytes_put_raw(writer, aside, length);
}

void bytes_put_zigzag(struct bytes_writer *writer, int64_t value) {
    bytes_put_varint(writer, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void bytes_put_double(struct bytes_writer *writer, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bytes_put_u64(writer, bits);
}

void bytes_put_text(struct bytes_writer *writer, const char *string) {
    size_t length = string ? strlen(string) : 0, start = writer->length;
    bytes_put_varint(writer, length);
    bytes_put_raw(writer, string, length);
    if (writer->full)
        writer->length = start;
}

void bytes_reader_init(struct bytes_reader *reader, const uint8_t *bytes, size_t size) {
    *reader = (struct bytes_reader){.bytes = bytes, .size = size};
}

const uint8_t *bytes_get_raw(struct bytes_reader *reader, size_t length) {
    if (reader->failed || length > reader->size - reader->position) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *bytes = reader->bytes + reader->position;
    reader->position += length;
    return bytes;
}

uint8_t bytes_get_u8(struct bytes_reader *reader) {
    const uint8_t *bytes = bytes_get_raw(reader, 1);
    return bytes ? bytes[0] : 0;
}

static inline uint64_t get_little(struct bytes_reader *reader, unsigned size) {
    const uint8_t *bytes = bytes_get_raw(reader, size);
    uint64_t value = 0;
    for (unsigned i = 0; bytes && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint32_t bytes_get_u32(struct bytes_reader *reader) {
    return (uint32_t)get_little(reader, 4);
}

uint64_t bytes_get_u64(struct bytes_reader *reader) {
    return get_little(reader, 8);
}

uint64_t bytes_get_varint(struct bytes_reader *reader) {
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = bytes_get_u8(reader);
        if (reader->failed)
            return 0;
        if (i == VARINT_BYTES_MAX - 1 && byte > 1)
            break; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (!(byte & 0x80))
            return value;
    }
    reader->failed = true;
    return 0;
}

int64_t bytes_get_zigzag(struct bytes_reader *reader) {
    uint64_t value = bytes_get_varint(reader);
    uint64_t half = value >> 1;
    return value & 1 ? -(int64_t)half - 1 : (int64_t)half;
}

double bytes_get_double(struct bytes_reader *reader) {
    uint64_t bits = bytes_get_u64(reader);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

void bytes_get_text(struct bytes_reader *reader, char *target, size_t size) {
    uint64_t length = bytes_get_varint(reader);
    const uint8_t *bytes = NULL;
    if (length > SIZE_MAX)
        reader->failed = true;
    else
        bytes = bytes_get_raw(reader, (size_t)length);
    if (!size)
        return;
    size_t kept = bytes ? (size_t)length : 0;
    if (kept >= size) {
        kept = size - 1;
        while (kept && (bytes[kept] & 0xC0) == 0x80) /* never half a UTF-8 character */
            kept--;
    }
    if (kept)
        memcpy(target, bytes, kept);
    target[kept] = '\0';
}
