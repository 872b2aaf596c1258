/* SPDX-License-Identifier: Apache-2.0 */
/* The table of kinds. Only `dead` keeps a write from being carried out; all others spoil what is said about it. */
#include "gateway/simulator/fault.h"

#include <string.h>

#include "base/check.h"

struct kind {
    const char *name, *about;
    uint32_t default_ms;
};

static const struct kind kinds[FAULT_KINDS] = {
    [FAULT_NONE] = {"none", "", 0},
    [FAULT_DEAD] = {"dead", "does not answer", 0},
    [FAULT_SLOW] = {"slow", "answers MS (100) later than usual", 100},
    [FAULT_LATE] = {"late", "answers MS (15) after the device's configured timeout", 15},
    [FAULT_WRONG_UNIT] = {"wrong-unit", "a good frame in another unit's name", 0},
    [FAULT_BAD_CRC] = {"bad-crc", "one bit after the head is wrong", 0},
    [FAULT_TRUNCATED] = {"truncated", "the end of the answer is missing", 0},
    [FAULT_PAUSE] = {"pause", "MS (10) of silence inside the answer", 10},
    [FAULT_NOISE_BEFORE] = {"noise-before", "1 to 3 stray bytes right before the answer", 0},
    [FAULT_NOISE_BETWEEN] = {"noise-between", "1 to 3 stray bytes within 3 characters after it", 0},
    [FAULT_EXCEPTION] = {"exception", "answers with exception 4", 0},
};

const char *fault_name(enum fault_kind kind) {
    CHECK((unsigned)kind < FAULT_KINDS);
    return kinds[kind].name;
}

const char *fault_about(enum fault_kind kind) {
    CHECK((unsigned)kind < FAULT_KINDS);
    return kinds[kind].about;
}

enum fault_kind fault_find(const char *name) {
    for (unsigned i = 1; i < FAULT_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return (enum fault_kind)i;
    return FAULT_NONE;
}

uint32_t fault_default_ms(enum fault_kind kind) {
    CHECK((unsigned)kind < FAULT_KINDS);
    return kinds[kind].default_ms;
}

enum fault_kind fault_roll(const struct fault *fault, struct prng *prng) {
    if (fault->kind == FAULT_NONE || prng_below(prng, 100) >= fault->percent)
        return FAULT_NONE;
    return fault->kind;
}

static size_t close_frame(uint8_t frame[FRAME_SIZE], size_t size) {
    uint16_t crc = frame_crc(frame, size - 2);
    frame[size - 2] = (uint8_t)crc;
    frame[size - 1] = (uint8_t)(crc >> 8);
    return size;
}

size_t fault_damage(enum fault_kind kind, struct prng *prng, uint8_t frame[FRAME_SIZE], size_t size) {
    CHECK(size >= 5 && size <= FRAME_SIZE);
    switch (kind) {
    case FAULT_WRONG_UNIT:
        frame[0] = (uint8_t)(frame[0] < 247 ? frame[0] + 1 : 1);
        return close_frame(frame, size);
    case FAULT_BAD_CRC:
        frame[3 + prng_below(prng, size - 3)] ^= (uint8_t)(1u << prng_below(prng, 8));
        return size;
    case FAULT_TRUNCATED:
        return 1 + (size_t)prng_below(prng, size - 1);
    case FAULT_EXCEPTION:
        frame[1] |= 0x80;
        frame[2] = 4;
        return close_frame(frame, 5);
    default:
        return size;
    }
}

size_t fault_noise(struct prng *prng, uint8_t bytes[FAULT_NOISE_MAX]) {
    size_t size = 1 + (size_t)prng_below(prng, FAULT_NOISE_MAX);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(prng_next(prng) >> 32);
    return size;
}
