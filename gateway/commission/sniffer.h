/* SPDX-License-Identifier: Apache-2.0 */
/* The traffic of a foreign master, cut into frames and paired: what was asked, what was answered and how soon. Pure: bytes and
 * times go in, exchanges come out. Nothing on a line says which frame is a request; see sniffer.c for how it is known. */
#ifndef YANHUO_SNIFFER_H
#define YANHUO_SNIFFER_H

#include "base/text.h"
#include "sensors/frame.h"

#define SNIFFER_SIZE (4 * FRAME_SIZE)
#define SNIFFER_EVENTS_MAX 64 /* of one feed: the shortest frame has 4 bytes */
#define SNIFFER_NOISE_KEPT 16 /* bytes shown */

enum sniffer_kind {
    SNIFFER_ANSWERED,
    SNIFFER_EXCEPTION,
    SNIFFER_UNANSWERED,
    SNIFFER_BROADCAST, /* unit id 0: nobody answers */
    SNIFFER_DAMAGED,   /* the answer's CRC is wrong */
    SNIFFER_STRAY,     /* an answer to nothing that was heard */
    SNIFFER_NOISE,     /* no frame */
};

struct sniffer_event {
    enum sniffer_kind kind;
    uint8_t unit_id;
    struct pdu request, reply;
    int64_t at_us;         /* when the request (or the noise) was complete */
    int64_t turnaround_us; /* from its end to the answer's beginning */
    int64_t since_us;      /* from the end of what was before on the line; -1: the first */
    size_t noise_size;
    uint8_t noise[SNIFFER_NOISE_KEPT];
};

struct sniffer {
    struct line_timing timing;
    uint8_t buffer[SNIFFER_SIZE];
    size_t length;
    int64_t heard_us; /* last byte */
    int64_t busy_us;  /* end of the last frame; NOW_NEVER before the first */
    bool asked;       /* a request waits for its answer */
    struct sniffer_event open;
    struct sniffer_event noise; /* noise_size 0: none */
    struct sniffer_event events[SNIFFER_EVENTS_MAX];
    unsigned events_first, events_count;
    uint64_t requests, answers, exceptions, unanswered, damaged, noise_bytes;
};

void sniffer_init(struct sniffer *sniffer, const struct line_timing *timing);

/* `size` bytes of which the last came at `now_us`. */
void sniffer_feed(struct sniffer *sniffer, const uint8_t *bytes, size_t size, int64_t now_us);

/* Nothing came until now: a frame that is not complete will not be, and a request unanswered for long stays so. */
void sniffer_silence(struct sniffer *sniffer, int64_t now_us);

bool sniffer_take(struct sniffer *sniffer, struct sniffer_event *ret_event);

/* One line for a person, without the time: "read holding 0x0000 x2", "6.1 ms", "0292 FF9B". */
void sniffer_add_request(const struct sniffer_event *event, struct text *text);
void sniffer_add_answer(const struct sniffer_event *event, size_t width, struct text *text);

#endif
