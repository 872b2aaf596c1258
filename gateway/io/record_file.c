/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/record_file.h"

#include "base/fnv.h"

void record_head_put(struct bytes_writer *writer, const struct record_head *head) {
    bytes_put_text(writer, head->version);
    bytes_put_u64(writer, head->start);
    bytes_put_varint(writer, head->number);
    bytes_put_u8(writer, (uint8_t)(head->anchor | head->absent << 1));
    bytes_put_text(writer, head->hash);
    bytes_put_text(writer, head->profiles_hash);
    bytes_put_zigzag(writer, head->utc_offset_minutes);
    bytes_put_varint(writer, head->lost);
}

bool record_head_get(struct bytes_reader *reader, struct record_head *ret_head) {
    *ret_head = (struct record_head){.anchor = false};
    bytes_get_text(reader, ret_head->version, sizeof(ret_head->version));
    ret_head->start = bytes_get_u64(reader);
    ret_head->number = bytes_get_varint(reader);
    uint8_t flags = bytes_get_u8(reader);
    ret_head->anchor = flags & 1;
    ret_head->absent = flags & 2;
    bytes_get_text(reader, ret_head->hash, sizeof(ret_head->hash));
    bytes_get_text(reader, ret_head->profiles_hash, sizeof(ret_head->profiles_hash));
    int64_t offset = bytes_get_zigzag(reader);
    if (offset < -24 * 60 || offset > 24 * 60)
        return false;
    ret_head->utc_offset_minutes = (int)offset;
    ret_head->lost = bytes_get_varint(reader);
    return !reader->failed && reader->position == reader->size;
}

void frame_head(uint8_t head[FRAME_HEAD_SIZE], enum frame_kind kind, uint32_t size) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, head, FRAME_HEAD_SIZE);
    bytes_put_u8(&writer, (uint8_t)kind);
    bytes_put_u32(&writer, size);
}

uint32_t frame_size(const uint8_t head[FRAME_HEAD_SIZE]) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, head + 1, FRAME_HEAD_SIZE - 1);
    return bytes_get_u32(&reader);
}

uint32_t frame_check(const uint8_t head[FRAME_HEAD_SIZE], const void *body, size_t size) {
    uint64_t hash = fnv_add(fnv_add(FNV_START, head, FRAME_HEAD_SIZE), body, size);
    return (uint32_t)(hash ^ hash >> 32);
}

bool frame_get(struct bytes_reader *reader, enum frame_kind *ret_kind, struct bytes_reader *ret_body, bool *ret_damaged) {
    *ret_damaged = false;
    if (reader->position == reader->size)
        return false;
    *ret_damaged = true;
    const uint8_t *head = bytes_get_raw(reader, FRAME_HEAD_SIZE);
    uint32_t size = head ? frame_size(head) : 0;
    if (!head || size > FRAME_SIZE_MAX)
        return false;
    const uint8_t *body = bytes_get_raw(reader, size);
    uint32_t check = bytes_get_u32(reader);
    if (reader->failed || check != frame_check(head, body, size))
        return false;
    *ret_kind = (enum frame_kind)head[0];
    bytes_reader_init(ret_body, body, size);
    *ret_damaged = false;
    return true;
}
