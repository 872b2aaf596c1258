/* SPDX-License-Identifier: Apache-2.0 */
/* What can go wrong with one answer on a serial line, by name, by chance and to its bytes. Pure; chance comes from a seed.
 * The table of kinds stands in fault.c. */
#ifndef YANHUO_FAULT_H
#define YANHUO_FAULT_H

#include "base/prng.h"
#include "sensors/frame.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_DEAD,
    FAULT_SLOW,
    FAULT_LATE,
    FAULT_WRONG_UNIT,
    FAULT_BAD_CRC,
    FAULT_TRUNCATED,
    FAULT_PAUSE,
    FAULT_NOISE_BEFORE,
    FAULT_NOISE_BETWEEN,
    FAULT_EXCEPTION,
};
#define FAULT_KINDS (FAULT_EXCEPTION + 1)

struct fault { /* of one device */
    enum fault_kind kind;
    uint8_t percent; /* of its answers */
    uint32_t ms;
};

#define FAULT_NOISE_MAX 3 /* bytes */

const char *fault_name(enum fault_kind kind);
const char *fault_about(enum fault_kind kind); /* what it does, with its milliseconds, in one line */
/* FAULT_NONE when there is none of this name. */
enum fault_kind fault_find(const char *name);
uint32_t fault_default_ms(enum fault_kind kind);

/* Is it played this time? */
enum fault_kind fault_roll(const struct fault *fault, struct prng *prng);

/* The damage to an RTU answer of `size` bytes; the size that is left. */
size_t fault_damage(enum fault_kind kind, struct prng *prng, uint8_t frame[FRAME_SIZE], size_t size);

/* Random bytes, 1 to FAULT_NOISE_MAX. */
size_t fault_noise(struct prng *prng, uint8_t bytes[FAULT_NOISE_MAX]);

#endif
