/* SPDX-License-Identifier: Apache-2.0 */
/* events.db: every event, kept beyond its delivery. The evidence: who shelved what and when, which alarm came, what was cleaned.
 *
 *   table    holds                                     kept for (configuration)
 *   event    alarms, actions, commands, gaps, starts   event_days, a year
 *   record   problems, maintenance, walk tests         record_days, three years
 *
 * An event's way: committed to the spool with its record -> copied here, each few minutes, whether it is delivered or not -> synced ->
 * and only then may the spool forget it, once it is delivered too. So a power cut costs nothing: what was copied and not marked is
 * found again, by its seq and time. A row is one sealed entry. `filed_ms` is the time by which it is kept and found: the entry's own, or, when
 * its clock was not trusted, that of the entry before; so a gateway that starts without a clock neither loses it at once nor keeps it for
 * ever. When `events` is used up the oldest events go, and records only after them.
 *
 * The writer's thread; archive_read by any connection of its own, of another program too. */
#ifndef YANHUO_STORE_ARCHIVE_H
#define YANHUO_STORE_ARCHIVE_H

#include "gateway/core/entry.h"
#include "gateway/io/store_database.h"

#define ARCHIVE_NAME "events.db"
#define ARCHIVE_VERSION 1

enum archive_table { ARCHIVE_EVENT, ARCHIVE_RECORD, ARCHIVE_TABLES };

struct archive {
    struct database *database, *spool;
    int64_t pages_max; /* 0: as much as it likes */
    int64_t keep_ms[ARCHIVE_TABLES];
    int64_t newest_ms; /* filed last; 0 while no entry with a trusted time was */
    uint64_t through_seq[LANES_COUNT]; /* all of the spool up to here is filed and synced */
    struct statement *runs[LANES_COUNT];
    struct statement *find[ARCHIVE_TABLES], *put[ARCHIVE_TABLES], *oldest[ARCHIVE_TABLES], *drop[ARCHIVE_TABLES], *expire[ARCHIVE_TABLES];
    struct statement *date[ARCHIVE_TABLES];
};

extern const char *const archive_tables[]; /* for database_check */

/* Creates the tables when the file is new; ERR_CORRUPT when it is not ours or from a newer program. */
NODISCARD enum err archive_create(struct database *database, struct database_failure *ret_failure);
/* Both databases stay the caller's. On failure *ret_failed is the one to blame. */
NODISCARD enum err archive_open(struct database *database, struct database *spool, const struct config *config, struct archive *ret_archive,
                                struct database **ret_failed, struct database_failure *ret_failure);

/* Files what the spool has and the archive lacks, some hundred entries a call, in one synced commit; then archive->through_seq tells how
 * far the spool may forget. *ret_more: there is more to do. */
NODISCARD enum err archive_advance(struct archive *archive, bool *ret_more, struct database **ret_failed, struct database_failure *ret_failure);
/* Deletes what is older than its days, at most one day a call, so that a clock that is wrong for an hour does not cost everything. */
NODISCARD enum err archive_expire(struct archive *archive, int64_t wall_ms, struct database_failure *ret_failure);

/* Every entry filed in [from_ms, to_ms], in that order; false from the sink ends it. */
NODISCARD enum err archive_read(struct database *database, int64_t from_ms, int64_t to_ms, bool (*sink)(void *context, const struct entry *entry),
                                void *context, struct database_failure *ret_failure);

#endif
