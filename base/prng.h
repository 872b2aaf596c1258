/* SPDX-License-Identifier: Apache-2.0 */
/* A small seeded generator (xorshift64*) for jitter and for tests: same seed, same sequence. Not for secrets. */
#ifndef YANHUO_PRNG_H
#define YANHUO_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline void prng_init(struct prng *prng, uint64_t seed) {
    prng->state = seed ? seed : 0x9E3779B97F4A7C15u; /* zero would stay zero */
}

static inline uint64_t prng_next(struct prng *prng) {
    uint64_t x = prng->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    prng->state = x;
    return x * 0x2545F4914F6CDD1Du;
}

/* 0 .. bound - 1; bound must not be 0. The bias is below bound / 2^64. */
static inline uint64_t prng_below(struct prng *prng, uint64_t bound) {
    return prng_next(prng) % bound;
}

#endif
