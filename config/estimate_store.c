/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on the device were measured with tests/bench/store.c: days on ext4 with its journal, everything synced each 30 s as the kernel's
 * writeback would, nothing delivered, spool and history together, in bytes a second (measured / by the formula below):
 *
 *   commit every      1 s           2 s           5 s           10 s          20 s          30 s          60 s
 *     1 reading/s    11880/12220   6830/6720     3580/3420     2540/2320     1820/1770     1810/1590     1280/1400
 *     5 readings/s   12090/12520   7030/7020     3940/3720     2870/2620     2130/1960     2140/1750     1490/1530
 *    10 readings/s   12240/12880   7290/7380     4150/4080     3160/2780     2220/2130     2290/1910     1640/1700
 *    20 readings/s   12590/13610   7630/8110     4710/4410     3350/3110     2570/2460     2630/2240     1930/2030
 *    50 readings/s   13730/15800   9420/9300     5480/5400     4350/4100     3550/3450     3630/3230     2980/3020
 *   100 readings/s   16740/17450   10340/10950   7190/7050     6070/5750     5270/5100     5470/4880     4720/4670
 *
 * a part that is always there (inodes and their journal), one a commit, and one a reading (log and file, spool and tail, chunks). The
 * constants were fitted to the rows of 1, 5, 20 and 100 readings at 1, 5, 10 and 60 s, and are within 9 % there; the other 26
 * figures took no part in that, and are met within 18 %. Minutes in real time, with the kernel's own writeback, gave 2 to 3 %
 * less than the same minutes in the bench. While the uplinks take what is published the spool's part is cursors only, so this is what a
 * long outage costs. */
#include "config/estimate.h"

#define ALWAYS_SECOND 1150.0
#define COMMIT_FIXED 11000.0
#define COMMIT_FIRST_READING 40.0 /* of the first readings: pages that are begun */
#define COMMIT_FIRST_MOST 2000.0
#define EACH_READING 33.0
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
    ret_estimate->needed_bytes = store->spool_bytes_max + ret_estimate->history_bytes + ret_estimate->rollup_bytes + store->events_bytes_max + OTHER_BYTES;
}
