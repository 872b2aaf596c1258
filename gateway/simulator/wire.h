/* SPDX-License-Identifier: Apache-2.0 */
/* One serial line as a wire: who occupies it when, what is heard of it, and how its master behaves. Pure: times come from the
 * caller, chance from a seed. The shell (line.c) moves the bytes through a pseudo terminal, which has no wire of its own:
 *
 *   a request   was written at once, but occupies the line from when its first byte was read, a character time for each byte
 *   an answer   begins a turnaround after that; each of its bytes is handed over when its last bit would have come through.
 *               A device does one thing at a time: what it is asked while it owes an answer it takes up after that
 *   noise       occupies the line like an answer
 *   an echo     gives the master's own bytes back as they pass
 *
 * Who speaks at the same time is not understood: a request that begins while others speak is not answered, and bytes on which
 * anything else falls are handed over as others. A beginning of a frame that is not continued within 50 ms, and frames with a
 * wrong checksum, are dropped, as every device does. */
#ifndef YANHUO_WIRE_H
#define YANHUO_WIRE_H

#include "gateway/simulator/line_judge.h"
#include "gateway/simulator/plant.h"

#define WIRE_TALKS 8
#define WIRE_TALK_SIZE (FRAME_SIZE + FAULT_NOISE_MAX)

struct wire_talk { /* size 0: free */
    uint8_t bytes[WIRE_TALK_SIZE];
    size_t size, sent;
    int64_t begin_us, handed_us;
    uint16_t device; /* CONFIG_NONE for noise and echo */
    size_t pause_at; /* the byte before which it is silent for pause_us */
    int64_t pause_us;
    bool echo, stray; /* stray: it may come while another exchange is under way, and disturbs that one too */
};

struct wire {
    const struct bus_spec *spec;
    struct plant *plant;
    struct line_timing timing;
    struct prng prng;
    struct line_judge judge;
    bool echoes;
    uint8_t request[FRAME_SIZE];
    size_t request_size;
    bool request_collided;
    enum line_violation request_violation;
    int64_t request_begin_us, request_end_us, heard_us;
    struct wire_talk talks[WIRE_TALKS];
    uint64_t faults; /* played */
};

/* What a whole request led to. */
struct wire_exchange {
    uint8_t unit_id, function;
    uint16_t address, count;      /* as the request says */
    int64_t begin_us, end_us;     /* of the request */
    int64_t reply_us, replied_us; /* of what the device said; 0 for nothing */
    enum fault_kind fault;
    enum line_violation violation;
    uint16_t device; /* CONFIG_NONE when nobody answered */
    struct slave_write write;
};

void wire_init(struct wire *wire, const struct bus_spec *spec, struct plant *plant, uint64_t seed);

/* The line is cut, or joined anew: nothing is on it. */
void wire_clear(struct wire *wire);

/* The master's bytes. True: they completed a request that devices understood. */
bool wire_hear(struct wire *wire, int64_t now_us, const uint8_t *bytes, size_t size, struct wire_exchange *ret_exchange);

/* When the next bytes are to be handed over; NOW_NEVER when nobody speaks. Fast lines are handed over in groups, at most once
 * in 250 us; the last byte of a talk is never held back. *ret_last: that byte is the last of a talk. */
int64_t wire_next_us(const struct wire *wire, bool *ret_last);

/* The bytes due by now, at most `size`; *ret_last_us is when the last byte of a talk among them was due, NOW_NEVER for none. */
size_t wire_take(struct wire *wire, int64_t now_us, uint8_t *bytes, size_t size, int64_t *ret_last_us);

void wire_recount(struct wire *wire);

#endif
