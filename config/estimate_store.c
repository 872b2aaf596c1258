/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on the device were measured with this layout on ext4 (page 4096, WAL, the file system's journal included), packed
 * commits of 100 readings a second:
 *
 *   readings a commit      1        500      1000     6000
 *   bytes a commit         12 k     36 k     34 k     91 k
 *
 * which COMMIT_* below repeats within a tenth but for the last, where it is a quarter low. Each period there are two commits, one to
 * the spool (synchronous FULL) and one to the history's tail; the history's chunks come on top, written once. While the uplinks
 * take what is published the spool writes next to nothing, so this is what a long outage costs. */
#include "config/estimate.h"

#define COMMIT_FIXED 12000.0
#define COMMIT_FIRST_READING 48.0 /* of the first readings: pages that are begun */
#define COMMIT_FIRST_MOST 15000.0
#define COMMIT_READING 10.0
#define CHUNK_READING 10.0 /* of a slot's chunks, log and file */
#define HISTORY_FILE_READING 4.0
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

static double commit_bytes(double readings) {
    double first = readings * COMMIT_FIRST_READING;
    return COMMIT_FIXED + (first < COMMIT_FIRST_MOST ? first : COMMIT_FIRST_MOST) + readings * COMMIT_READING;
}

void estimate_store(const struct config *config, struct estimate_store *ret_estimate) {
    const struct config_store *store = &config->store;
    double rate = readings_per_s(config), period_s = store->readings_commit_ms / 1000.0;
    double day = 2 * commit_bytes(rate * period_s) * DAY_S / period_s + CHUNK_READING * rate * DAY_S;
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
