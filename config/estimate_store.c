/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on the device were measured with tests/bench/store.c: days on ext4 with its journal, everything synced each 30 s as the kernel's
 * writeback would, nothing delivered, spool and history together, in bytes a second (measured / by the formula below):
 *
 *   commit every        1 s            5 s            10 s           60 s
 *     5 readings/s   16200/15800     5160/4740      3700/3360      1960/1930
 *    20 readings/s   17900/18400     7100/7380      6700/5300      3130/3070
 *   100 readings/s   27200/32500    14200/14100    11500/11400     8860/9150
 *
 * a part that is always there (inodes and their journal), one a commit, and one a reading (log and file, spool and tail, chunks). While
 * the uplinks take what is published the spool's part is cursors only, so this is what a long outage costs. */
#include "config/estimate.h"

#define ALWAYS_SECOND 1100.0
#define COMMIT_FIXED 13800.0
#define COMMIT_FIRST_READING 100.0 /* of the first readings: pages that are begun */
#define COMMIT_FIRST_MOST 13000.0
#define EACH_READING 76.0
#define HISTORY_FILE_READING 4.0 /* 2.4 to 3.9 were measured */
#define ROLLUP_ROW 48.0
#define ROLLUP_ROWS_DAY (144.0 + 24.0 + 1.0) /* a series: 10 minutes, hours, the day */
#define WRITE_AMPLIFICATION 4.0 /* a card erases whole blocks for small writes; cheap ones are worse */
#define OTHER_BYTES 32000000u   /* both logs, the ballast, the copy of the records */
#define DAY_S 86400.0

static double readings_per_s(const struct config *config) {
    double rate = 0;
    for (uint16_t i = 0; i < config->devices_count; i++)
        for (uint16_t p = 0; p < config->devices[i].spec.points_count; p++)
            rate += 1000.0 / config->devices[i].spec.points[p].every_ms;
    return rate;
}

static double device_bytes_per_s(double rate, double period_s) {
    double first = rate * period_s * COMMIT_FIRST_READING;
    double commit = COMMIT_FIXED + (first < COMMIT_FIRST_MOST ? first : COMMIT_FIRST_MOST);
    return ALWAYS_SECOND + commit / period_s + EACH_READING * rate;
}

void estimate_store(const struct config *config, struct estimate_store *ret_estimate) {
    const struct config_store *store = &config->store;
    double rate = readings_per_s(config), period_s = store->readings_commit_ms / 1000.0;
    double day = device_bytes_per_s(rate, period_s) * DAY_S;
    double history = rate * DAY_S * store->history_days * HISTORY_FILE_READING;
    double rollup = (double)config->points_count * ROLLUP_ROWS_DAY * ROLLUP_ROW * store->rollup_days;
    *ret_estimate = (struct estimate_store){.readings_per_s = rate, .device_mb_day = rate > 0 ? day / 1e6 : 0};
    if (rate > 0)
        ret_estimate->device_bytes_reading = day / (rate * DAY_S);
    if (store->card_bytes && rate > 0)
        ret_estimate->card_years = (double)store->card_bytes * store->card_cycles / WRITE_AMPLIFICATION / day / 365.25;
    ret_estimate->rollup_bytes = (uint64_t)rollup;
    ret_estimate->history_bytes = history < (double)store->history_bytes_max ? (uint64_t)history : store->history_bytes_max;
    ret_estimate->needed_bytes = store->spool_bytes_max + ret_estimate->history_bytes + ret_estimate->rollup_bytes + OTHER_BYTES;
}
