/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that somebody will not get, as a gap tells them: between which numbers they lie, and how many they are. Pure. */
#ifndef YANHUO_MISSED_H
#define YANHUO_MISSED_H

#include <stdint.h>

struct missed { /* count 0: none, and the others mean nothing */
    uint64_t from, to, count;
};

/* Not always in order: what is added may lie before what is there. */
static inline void missed_add(struct missed *sum, const struct missed *more) {
    if (!more->count)
        return;
    if (!sum->count || more->from < sum->from)
        sum->from = more->from;
    if (!sum->count || more->to > sum->to)
        sum->to = more->to;
    sum->count += more->count;
}

#endif
