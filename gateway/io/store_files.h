/* SPDX-License-Identifier: Apache-2.0 */
/* The store's folder: one process at a time, damaged files kept under a new name, new names made durable. */
#ifndef YANHUO_STORE_FILES_H
#define YANHUO_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STORE_PATH_SIZE 1024

/* Takes the folder for this process: ERR_BUSY when another one has it (*ret_owner: its process id, 0 when not known),
 * ERR_IO when the folder cannot be written (errno in *ret_os_error). The lock goes with the descriptor. */
NODISCARD enum err files_lock(const char *dir, int *ret_fd, long *ret_owner, int *ret_os_error);

/* DIR/NAME; ERR_RANGE when it is too long. */
NODISCARD enum err files_path(const char *dir, const char *name, char ret_path[STORE_PATH_SIZE]);

/* Renames PATH, PATH-wal and PATH-shm to PATH.corrupt-TIME..., never over an existing file. ret_path is PATH's new name. */
NODISCARD enum err files_quarantine(const char *path, int64_t wall_ms, char ret_path[STORE_PATH_SIZE]);

/* A file of BALLAST_SIZE that holds nothing. On a full disk even a deletion needs room to be written; then it is given up, and made
 * again when there is room for it four times. */
#define BALLAST_NAME "ballast"
#define BALLAST_SIZE (4u << 20) /* a whole write-ahead log of the spool */
bool files_make_ballast(const char *dir); /* true: it is there */
bool files_give_ballast(const char *dir); /* true: it was there */
/* Bytes that this user may still write in the folder; -1 when that cannot be known. */
int64_t files_room(const char *dir);

/* Bytes this process made the kernel write to devices so far, without those taken back by deletion before they were written;
 * the file system's own journal is not in it. -1 when the kernel does not count. */
int64_t files_device_bytes(void);

/* Makes names created or changed in the folder durable. */
void files_sync_folder(const char *dir);

#endif
