/* SPDX-License-Identifier: Apache-2.0 */
/* What the store says of its disk: kept for health, and told as an event when it changes:
 *   durable <--> volatile,  room <--> full,  a damaged file put aside
 * At most one event in CORE_DISK_EVERY_US, so that a disk that comes and goes makes no flood; the status comes each minute, so
 * that the last word is told in any case. */
#include "base/text.h"
#include "gateway/core/core.h"

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
    bool changed = disk->is_volatile != told->is_volatile || disk->full != told->full || disk->quarantined != told->quarantined;
    if (!changed || now->mono_us < core->disk_due_us)
        return;
    core->disk_due_us = now->mono_us + CORE_DISK_EVERY_US;
    struct system_event event = {.offset_ms = 0};
    (void)text_copy(event.what, sizeof(event.what), "store");
    (void)text_copy(event.detail, sizeof(event.detail), disk_sentence(told, disk));
    uint8_t bytes[sizeof(event) + 32];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_system(&body, &event);
    core_seal_event(core, now, LANE_EVENT, ENTRY_SYSTEM, &body);
    trace_add(core->trace, now->mono_us, disk->is_volatile || disk->full ? TRACE_ERROR : TRACE_INFO, "store %s", event.detail);
    *told = *disk;
}
