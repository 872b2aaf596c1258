/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded writing and reading of packed bytes: little-endian integers, varints (7 bits a byte, low first), zigzag for
 * signed, doubles as their 8 bytes, text as a varint length and its bytes. A failure is sticky, checked once at the end. */
#ifndef YANHUO_BYTES_H
#define YANHUO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes_writer {
    uint8_t *bytes;
    size_t size, length;
    bool full;
};

struct bytes_reader {
    const uint8_t *bytes;
    size_t size, position;
    bool failed; /* ran past the end or met a malformed varint */
};

void bytes_writer_init(struct bytes_writer *writer, uint8_t *bytes, size_t size);
void bytes_put_u8(struct bytes_writer *writer, uint8_t value);
void bytes_put_u32(struct bytes_writer *writer, uint32_t value);
void bytes_put_u64(struct bytes_writer *writer, uint64_t value);
void bytes_put_varint(struct bytes_writer *writer, uint64_t value);
void bytes_put_zigzag(struct bytes_writer *writer, int64_t value);
void bytes_put_double(struct bytes_writer *writer, double value);
void bytes_put_text(struct bytes_writer *writer, const char *string); /* NULL is written as the empty text */
void bytes_put_raw(struct bytes_writer *writer, const void *bytes, size_t length);

void bytes_reader_init(struct bytes_reader *reader, const uint8_t *bytes, size_t size);
uint8_t bytes_get_u8(struct bytes_reader *reader);
uint32_t bytes_get_u32(struct bytes_reader *reader);
uint64_t bytes_get_u64(struct bytes_reader *reader);
uint64_t bytes_get_varint(struct bytes_reader *reader);
int64_t bytes_get_zigzag(struct bytes_reader *reader);
double bytes_get_double(struct bytes_reader *reader);
/* Copies text into `target`, cut to `size`; the empty text on failure. */
void bytes_get_text(struct bytes_reader *reader, char *target, size_t size);
/* A view of `length` bytes inside the buffer, or NULL on failure. */
const uint8_t *bytes_get_raw(struct bytes_reader *reader, size_t length);

#endif
