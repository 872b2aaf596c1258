/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on the device were measured with tests/bench/store.c: days of 100 series on ext4, with what its journal and the kernel's writeback do by
 * the clock, nothing delivered, spool and history together, in bytes a second (measured / by the formula below):
 *
 *   commit every      5 s           10 s          20 s          40 s          60 s
 *     1 reading/s    4530/4600     2520/2490     1490/1440      950/910       720/730
 *     5 readings/s   4450/4680     2600/2570     1540/1520      990/990       750/800
 *    10 readings/s   4810/4780     2700/2680     1620/1620     1060/1040      810/850
 *    20 readings/s   4830/4990     2930/2880     1790/1730     1210/1150      960/960
 *    50 readings/s   5750/5740     3550/3430     2400/2280     1780/1710     1560/1510
 *   100 readings/s   6690/6660     4400/4360     3180/3210     2590/2630     2320/2440
 *
 * a part that is always there, one a commit (two logs, of which one is synced, and the file system's journal, which notes that they were
 * written), and one a reading (log and file; spool, tail, chunks), of which the first 20 a second find room in pages that are written anyway.
 * The constants were fitted to these figures, and are within 7 % of them. A gateway of 100 points in real time, with
 * its logs no longer growing, was given 14 % less by the file system's journal than the bench. While the uplinks take what is published the
 * spool's part is cursors only, so this is what a long outage costs.
 * The history's file takes 2.4 bytes a reading of sensors that wander by their last digit, and up to 3 of livelier ones, and 31 bytes for
 * each hour of a series. */
#include "config/estimate.h"

#define ALWAYS_SECOND 360.0
#define COMMIT_FIXED 21100.0
#define COMMIT_FIRST_READING 9.7 /* of the first readings: pages that are begun */
#define COMMIT_FIRST_MOST 1930.0
#define FIRST_READINGS_SECOND 20.0
#define FIRST_READING 10.8
#define EACH_READING 18.5
#define HISTORY_READING 3.0
#define HISTORY_SERIES_DAY (24 * 31.0)
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
    double few = rate < FIRST_READINGS_SECOND ? rate : FIRST_READINGS_SECOND;
    return ALWAYS_SECOND + commit / period_s + FIRST_READING * few + EACH_READING * (rate - few);
}

void estimate_store(const struct config *config, struct estimate_store *ret_estimate) {
    const struct config_store *store = &config->store;
    double rate = readings_per_s(config), period_s = store->readings_commit_ms / 1000.0;
    double day = device_bytes_per_s(rate, period_s) * DAY_S;
    double history = (rate * DAY_S * HISTORY_READING + (double)config->points_count * HISTORY_SERIES_DAY) * store->history_days;
    double rollup = (double)config->points_count * ROLLUP_ROWS_DAY * ROLLUP_ROW * store->rollup_days;
    *ret_estimate = (struct estimate_store){.readings_per_s = rate, .device_mb_day = rate > 0 ? day / 1e6 : 0};
    if (rate > 0)
        ret_estimate->device_bytes_reading = day / (rate * DAY_S);
    if (store->card_bytes && rate > 0)
        ret_estimate->card_years = (double)store->card_bytes * store->card_cycles / WRITE_AMPLIFICATION / day / 365.25;
    ret_estimate->rollup_bytes = (uint64_t)rollup;
    ret_estimate->history_bytes = history < (double)store->history_bytes_max ? (uint64_t)history : store->history_bytes_max;
    ret_estimate->needed_bytes = store->spool_bytes_max + ret_estimate->history_bytes + ret_estimate->rollup_bytes + store->events_bytes_max + OTHER_BYTES;
}
