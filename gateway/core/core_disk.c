/* SPDX-License-Identifier: Apache-2.0 */
/* What the store says of its disk: kept for health, and told as an event when it changes:
 *   durable <--> volatile,  room <--> full,  a damaged file put aside
 * At most one event in CORE_DISK_EVERY_US, so that a disk that comes and goes makes no flood; what changed meanwhile is told when that
 * is over, as it is then. */
#include "gateway/core/core_parts.h"

#define CORE_DISK_EVERY_US 10000000

static const char *disk_sentence(const struct disk_status *told, const struct disk_status *disk) {
    if (disk->is_volatile)
        return "volatile: the disk takes nothing, what happens now does not survive a restart";
    if (disk->quarantined != told->quarantined)
        return "a damaged file was put aside and a new one begun";
    if (disk->full)
        return "the disk is full: new entries take the place of the oldest readings";
    return told->is_volatile ? "durable again: everything is written to the disk" : "the disk has room again";
}

void core_on_disk(struct core *core, const struct now *now, const struct disk_status *said) {
    struct disk_status *told = &core->disk_told, status = *said, *disk = &status;
    core->vitals.disk = *said;
    status.is_volatile = status.is_volatile || core->vitals.store_stuck; /* a writer that is stuck says nothing any more */
    core->counters->disk = *disk;
    core->counters->disk.history_lost += core->publisher.history_lost + core->publisher.aside.lost;
    bool changed = disk->is_volatile != told->is_volatile || disk->full != told->full || disk->quarantined != told->quarantined;
    core->disk_untold = changed && now->mono_us < core->disk_due_us;
    if (!changed || core->disk_untold)
        return;
    core->disk_due_us = now->mono_us + CORE_DISK_EVERY_US;
    const char *sentence = disk_sentence(told, disk);
    core_seal_system(core, now, ENTRY_SYSTEM, "store", sentence, 0);
    trace_add(core->trace, now->mono_us, disk->is_volatile || disk->full ? TRACE_ERROR : TRACE_INFO, "store %s", sentence);
    *told = *disk;
}

void core_disk_on_time(struct core *core, const struct now *now) {
    if (!core->disk_untold || now->mono_us < core->disk_due_us)
        return;
    struct disk_status disk = core->vitals.disk;
    core_on_disk(core, now, &disk);
}

int64_t core_disk_next_wake(const struct core *core) {
    return core->disk_untold ? core->disk_due_us : NOW_NEVER;
}
