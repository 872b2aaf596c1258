/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on the device were measured with tests/bench/store.c: days of 100 series on ext4 with its journal, everything synced each 30 s as
 * the kernel's writeback would, nothing delivered, spool and history together, in bytes a second (measured / by the formula below):
 *
 *   commit every      5 s           10 s          20 s          30 s          60 s
 *     1 reading/s    2370/2400     1560/1550     1100/1130     1060/990      790/840
 *     5 readings/s   2570/2650     1740/1800     1280/1330     1250/1160     930/990
 *    10 readings/s   2770/2960     2030/2030     1420/1510     1440/1340     1110/1170
 *    20 readings/s   3410/3420     2340/2380     1800/1870     1780/1690     1440/1520
 *    50 readings/s   4330/4480     3430/3450     2940/2930     2890/2760     2630/2580
 *   100 readings/s   6250/6250     5270/5220     4860/4700     4860/4530     4610/4360
 *
 * a part that is always there (inodes and their journal), one a commit, and one a reading (log and file, spool and tail, chunks, hours). The
 * constants were fitted to these figures, and are within 7 % of them; of commits of 1 and 2 s too. Minutes in real time, with the
 * kernel's own writeback, gave 2 to 3 % less than the same minutes in the bench. While the uplinks take what is published the spool's part
 * is cursors only, so this is what a long outage costs.
 * The history's file takes 2.3 bytes a reading of sensors that wander by their last digit, and up to 3 of livelier ones, and 31 bytes for
 * each hour of a series. */
#include "config/estimate.h"

#define ALWAYS_SECOND 640.0
#define COMMIT_FIXED 8500.0
#define COMMIT_FIRST_READING 27.0 /* of the first readings: pages that are begun */
#define COMMIT_FIRST_MOST 1830.0
#define EACH_READING 35.4
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
    return ALWAYS_SECOND + commit / period_s + EACH_READING * rate;
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
