/* SPDX-License-Identifier: Apache-2.0 */
/* A history and a plain list of what was put into it: each reading's value tells its place in the list, so that one that is lost, changed,
 * or there twice is found. */
#ifndef TESTS_HISTORY_WORLD_H
#define TESTS_HISTORY_WORLD_H

#include "gateway/io/store_history.h"
#include "store_fixture.h"

#define T0 INT64_C(1795392000000) /* begin of an hour and of a day */
#define FAR_MS (T0 + 900 * INT64_C(86400000))
#define SERIES 6
#define LIST_MAX 400000

struct history_item {
    uint32_t series;
    int64_t at_ms;
};

struct history_world {
    struct store_fixture fixture;
    char path[128];
    struct arena arena;
    struct database *database;
    struct history *history;
    struct history_item items[LIST_MAX];
    bool seen[LIST_MAX];
    unsigned count, found, safe; /* items; those that were read; those that a power cut cannot reach */
    int64_t hour;                /* of the reading before, while reading */
    struct bytes_writer batch;
    struct reading_order order; /* of the batch */
    int64_t batch_ms;           /* of its first reading */
    uint8_t bytes[1 << 17];
};

/* A new file; `bytes_max` is its quota, 0 for none. Failures fail the test. */
struct history_world *world_begin(uint64_t bytes_max);
void world_end(struct history_world *world);
void world_open(struct history_world *world);
void world_close(struct history_world *world);

struct value world_value(unsigned index, uint32_t series);                /* numbers of several forms, and text of series 3 */
void world_put(struct history_world *world, uint32_t series, int64_t at_ms); /* into the batch */
enum err world_flush(struct history_world *world);
/* Each series as often as it is read (0: not). */
void world_stretch(struct history_world *world, int64_t from_ms, int64_t to_ms, const unsigned every_s[SERIES]);
void world_roll(struct history_world *world, int64_t wall_ms); /* until there is no more */
int64_t world_number(struct history_world *world, const char *sql);

/* How many can be read, told in `seen`; none of them twice, each as it was put in, and hour after hour. */
unsigned world_read(struct history_world *world, int64_t from_ms, int64_t to_ms);
/* They are all that there should be. */
void world_compare(struct history_world *world, int64_t from_ms, int64_t to_ms);

#endif
