/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a, 64 bits: to notice a change and to find a name quickly, never to prove one. Begin with FNV_START. */
#ifndef YANHUO_FNV_H
#define YANHUO_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_START 0xcbf29ce484222325u

static inline uint64_t fnv_add(uint64_t hash, const void *bytes, size_t size) {
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

#endif
