/* SPDX-License-Identifier: Apache-2.0 */
/* Frames are found by their CRC, not by silence, because adapters and kernels hand bytes over in lumps. At the beginning of what
 * is not understood yet each length that the function allows is tried; while one of them needs more bytes the place is open:
 *
 *   functions 1-4     request 8; answer 5 + byte count        5, 6      8 both ways
 *   functions 15, 16  request 9 + byte count; answer 8        8x        exception 5
 *   others            any length, once the line falls silent
 *
 * Request or answer:  IDLE --(any frame)--> ASKED --(same unit and function, the length asked for)--> answered --> IDLE
 *                     ASKED --(another frame, or ANSWER_US of silence)--> unanswered
 * An answer in IDLE that can be nothing else (exception, odd length) is a stray: listening began in the middle.
 * What is no frame is noise, gathered until a frame follows; noise that begins as the answer waited for is a damaged answer. */
#include "gateway/commission/sniffer.h"

#include <stdio.h>
#include <string.h>

#include "base/now.h"
#include "sensors/rtu_receiver.h"

#define FRAME_LEAST 4
#define UNIT_LAST 247
#define ANSWER_US 3000000
#define REQUEST_READ_SIZE 8

static void emit(struct sniffer *sniffer, const struct sniffer_event *event) {
    if (sniffer->events_count == SNIFFER_EVENTS_MAX)
        return; /* taken after each feed, and a feed cannot hold so many */
    sniffer->events[(sniffer->events_first + sniffer->events_count++) % SNIFFER_EVENTS_MAX] = *event;
}

bool sniffer_take(struct sniffer *sniffer, struct sniffer_event *ret_event) {
    if (sniffer->events_count == 0)
        return false;
    *ret_event = sniffer->events[sniffer->events_first];
    sniffer->events_first = (sniffer->events_first + 1) % SNIFFER_EVENTS_MAX;
    sniffer->events_count--;
    return true;
}

void sniffer_init(struct sniffer *sniffer, const struct line_timing *timing) {
    memset(sniffer, 0, sizeof(*sniffer));
    sniffer->timing = *timing;
    sniffer->busy_us = NOW_NEVER;
}

static bool crc_is_right(const uint8_t *bytes, size_t size) {
    uint16_t crc = frame_crc(bytes, size - 2);
    return bytes[size - 2] == (crc & 0xFF) && bytes[size - 1] == crc >> 8;
}

/* The lengths that a frame beginning so may have; at most two. A length that its own bytes must tell counts as the least. */
static unsigned sizes_of(const uint8_t *bytes, size_t size, size_t ret_sizes[2]) {
    uint8_t function = bytes[1];
    unsigned count = 0;
    if (function & 0x80) {
        ret_sizes[count++] = RTU_ANSWER_MIN;
    } else if (function >= FC_READ_COILS && function <= FC_READ_INPUT) {
        ret_sizes[count++] = REQUEST_READ_SIZE;
        ret_sizes[count++] = size < 3 ? RTU_ANSWER_MIN + 1 : 5 + (size_t)bytes[2];
    } else if (function == FC_WRITE_COIL || function == FC_WRITE_REGISTER) {
        ret_sizes[count++] = 8;
    } else if (function == FC_WRITE_COILS || function == FC_WRITE_REGISTERS) {
        ret_sizes[count++] = 8;
        ret_sizes[count++] = size < 7 ? 11 : 9 + (size_t)bytes[6];
    }
    return count;
}

/* The size of the answer that the request under way must get. */
static size_t answer_size(const struct sniffer *sniffer) {
    const struct pdu *request = &sniffer->open.request;
    return request->size >= 5 && request->bytes[0] <= FC_WRITE_REGISTERS ? 3 + frame_reply_size(request) : 0;
}

static bool answers(const struct sniffer *sniffer, const uint8_t *bytes, size_t size) {
    const struct sniffer_event *open = &sniffer->open;
    if (!sniffer->asked || bytes[0] != open->unit_id || (bytes[1] & 0x7F) != open->request.bytes[0])
        return false;
    if (bytes[1] & 0x80)
        return size == RTU_ANSWER_MIN;
    return answer_size(sniffer) == 0 || size == answer_size(sniffer);
}

static void noise_end(struct sniffer *sniffer) {
    struct sniffer_event *noise = &sniffer->noise;
    if (noise->noise_size == 0)
        return;
    struct sniffer_event *open = &sniffer->open;
    if (sniffer->asked && noise->noise_size >= 2 && noise->noise[0] == open->unit_id && (noise->noise[1] & 0x7F) == open->request.bytes[0]) {
        open->kind = SNIFFER_DAMAGED;
        open->noise_size = noise->noise_size;
        memcpy(open->noise, noise->noise, sizeof(open->noise));
        emit(sniffer, open);
        sniffer->asked = false;
        sniffer->damaged++;
    } else {
        noise->kind = SNIFFER_NOISE;
        emit(sniffer, noise);
    }
    noise->noise_size = 0;
}

static void noise_add(struct sniffer *sniffer, uint8_t byte) {
    struct sniffer_event *noise = &sniffer->noise;
    if (noise->noise_size == 0) {
        memset(noise, 0, sizeof(*noise));
        noise->at_us = sniffer->heard_us;
        noise->since_us = sniffer->busy_us == NOW_NEVER ? -1 : sniffer->heard_us - sniffer->busy_us;
    }
    if (noise->noise_size < SNIFFER_NOISE_KEPT)
        noise->noise[noise->noise_size] = byte;
    noise->noise_size++;
    sniffer->noise_bytes++;
}

static void unanswered(struct sniffer *sniffer) {
    if (!sniffer->asked)
        return;
    sniffer->open.kind = SNIFFER_UNANSWERED;
    sniffer->asked = false;
    sniffer->unanswered++;
    emit(sniffer, &sniffer->open);
}

static void pdu_of(struct pdu *ret_pdu, const uint8_t *frame, size_t size) {
    ret_pdu->size = (uint8_t)(size - 3);
    memcpy(ret_pdu->bytes, frame + 1, ret_pdu->size);
}

/* `end_us`: when its last byte came, as well as it is known. */
static void on_answer(struct sniffer *sniffer, const uint8_t *bytes, size_t size, int64_t end_us) {
    struct sniffer_event *open = &sniffer->open;
    bool exception = bytes[1] & 0x80;
    pdu_of(&open->reply, bytes, size);
    open->kind = exception ? SNIFFER_EXCEPTION : SNIFFER_ANSWERED;
    open->turnaround_us = end_us - open->at_us - line_bytes_us(&sniffer->timing, size);
    if (open->turnaround_us < 0)
        open->turnaround_us = 0;
    sniffer->asked = false;
    sniffer->answers += !exception;
    sniffer->exceptions += exception;
    emit(sniffer, open);
}

static void on_request(struct sniffer *sniffer, const uint8_t *bytes, size_t size, int64_t end_us) {
    unanswered(sniffer);
    struct sniffer_event *open = &sniffer->open;
    memset(open, 0, sizeof(*open));
    open->unit_id = bytes[0];
    open->at_us = end_us;
    open->since_us = sniffer->busy_us == NOW_NEVER ? -1 : end_us - line_bytes_us(&sniffer->timing, size) - sniffer->busy_us;
    if (open->since_us < 0 && sniffer->busy_us != NOW_NEVER)
        open->since_us = 0;
    size_t sizes[2];
    bool reply_only = bytes[1] & 0x80 || (bytes[1] <= FC_READ_INPUT && sizes_of(bytes, size, sizes) == 2 && size != REQUEST_READ_SIZE);
    pdu_of(reply_only ? &open->reply : &open->request, bytes, size);
    open->kind = reply_only ? SNIFFER_STRAY : SNIFFER_BROADCAST;
    sniffer->requests += !reply_only;
    sniffer->asked = !reply_only && bytes[0] != 0;
    if (!sniffer->asked)
        emit(sniffer, open);
}

static void on_frame(struct sniffer *sniffer, const uint8_t *bytes, size_t size, size_t behind) {
    int64_t end_us = sniffer->heard_us - line_bytes_us(&sniffer->timing, behind);
    noise_end(sniffer);
    if (answers(sniffer, bytes, size))
        on_answer(sniffer, bytes, size, end_us);
    else
        on_request(sniffer, bytes, size, end_us);
    sniffer->busy_us = end_us;
}

/* The size of the frame at `bytes`; 0: there is none, and *ret_open when more bytes could make one. */
static size_t frame_at(const struct sniffer *sniffer, const uint8_t *bytes, size_t size, bool silent, bool *ret_open) {
    size_t sizes[3], expected = answer_size(sniffer);
    *ret_open = false;
    if (bytes[0] > UNIT_LAST)
        return 0;
    if (size < 2) {
        *ret_open = !silent;
        return 0;
    }
    unsigned count = sizes_of(bytes, size, sizes);
    if (sniffer->asked && expected && bytes[0] == sniffer->open.unit_id && bytes[1] == sniffer->open.request.bytes[0])
        sizes[count++] = expected;
    for (unsigned i = 0; i < count; i++) {
        if (sizes[i] <= FRAME_SIZE && sizes[i] > size)
            *ret_open = !silent;
        else if (sizes[i] <= size && crc_is_right(bytes, sizes[i]))
            return sizes[i];
    }
    if (count > 0 || bytes[1] == 0)
        return 0;
    if (!silent && size < FRAME_SIZE) {
        *ret_open = true;
        return 0;
    }
    for (size_t end = FRAME_LEAST; end <= size && end <= FRAME_SIZE - 4; end++)
        if (crc_is_right(bytes, end))
            return end;
    return 0;
}

static void search(struct sniffer *sniffer, bool silent) {
    size_t at = 0;
    while (at < sniffer->length && sniffer->events_count + 2 < SNIFFER_EVENTS_MAX) {
        bool open;
        size_t left = sniffer->length - at, size = frame_at(sniffer, sniffer->buffer + at, left, silent, &open);
        if (size > 0) {
            on_frame(sniffer, sniffer->buffer + at, size, left - size);
            at += size;
        } else if (open) {
            break;
        } else {
            noise_add(sniffer, sniffer->buffer[at++]);
        }
    }
    sniffer->length -= at;
    memmove(sniffer->buffer, sniffer->buffer + at, sniffer->length);
}

void sniffer_feed(struct sniffer *sniffer, const uint8_t *bytes, size_t size, int64_t now_us) {
    sniffer->heard_us = now_us;
    while (size > 0) {
        size_t room = SNIFFER_SIZE - sniffer->length, taken = size < room ? size : room;
        if (taken == 0) { /* nobody takes the events */
            sniffer->length = 0;
            continue;
        }
        memcpy(sniffer->buffer + sniffer->length, bytes, taken);
        sniffer->length += taken;
        bytes += taken;
        size -= taken;
        search(sniffer, false);
    }
}

void sniffer_silence(struct sniffer *sniffer, int64_t now_us) {
    search(sniffer, true);
    noise_end(sniffer);
    if (sniffer->asked && now_us - sniffer->open.at_us > ANSWER_US)
        unanswered(sniffer);
}
