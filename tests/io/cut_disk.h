/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails on demand, as SQLite's default VFS over the real one, and that can lose its power: then every file is as it was
 * at its last sync, but for each sector written since, which by chance is new, old, or garbage where it was written. Names come
 * and go durably at once. */
#ifndef TESTS_CUT_DISK_H
#define TESTS_CUT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

enum cut_mode {
    CUT_WELL,
    CUT_FULL,      /* nothing more can be written */
    CUT_READ_ONLY, /* as after a remount: reading works */
    CUT_BROKEN,    /* nothing can be read, written or opened */
    CUT_LYING,     /* a sync does nothing and says it did */
};

void cut_install(void); /* for the whole program, before the first file is opened */
void cut_mode(enum cut_mode mode);
void cut_stall(unsigned each_sync_ms);
void cut_writing(unsigned file_writes); /* how many more writes, truncations and syncs are done; then the power is gone */
bool cut_happened(void);
/* After the power came back, and while no file is open: what the disk kept. */
void cut_apply(struct prng *prng);

/* "ok", or what integrity_check finds. */
const char *cut_integrity(const char *path);
uint64_t cut_syncs(void);

#endif
