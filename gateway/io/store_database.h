/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite behind the few calls the store needs; store_database.c is the only file that includes sqlite3.h.
 * A failure is sticky: after the first, every call of this database does nothing and gives zero, until database_end or
 * database_clear hands it out, so that a transaction is written as a plain list of steps with one check at its end.
 * A database belongs to one thread at a time. A NULL statement is allowed everywhere and does nothing. */
#ifndef YANHUO_STORE_DATABASE_H
#define YANHUO_STORE_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DATABASE_PAGE_SIZE 2048       /* of a new file; store_database.c says why */
#define DATABASE_PAGE_SIZE_FULL 1024  /* of one whose commits are all synced: a small commit is then a small write */

#define DATABASE_VFS "unix-excl"      /* the library's own way to the files, with a lock held on them all the time */

struct database;
struct statement;

enum database_mode {
    DATABASE_FULL,   /* every commit is on the disk when it returns */
    DATABASE_NORMAL, /* a power cut may cost the commits since the last database_sync, never the order or the file */
    DATABASE_SHARED, /* as FULL; other programs may read it meanwhile, which costs a mapped file: for what is seldom written */
    DATABASE_READER, /* never writes */
    DATABASE_VISITOR, /* never writes; another program's SHARED file, which it may have open, or one that nobody has open */
};

struct database_failure {
    enum err err;
    int code, os_error; /* the library's own, and errno of the operation that failed; 0 when unknown */
    char text[160];
};

/* Opens or creates. On failure the reason is in *ret_failure and nothing is left open. */
NODISCARD enum err database_open(const char *path, enum database_mode mode, struct database **ret_database, struct database_failure *ret_failure);
void database_close(struct database *database); /* finalises its statements; NULL is allowed */

/* Which of our schemas it has: 0 when it is new. ERR_CORRUPT when it holds something else, or is from a newer program. */
NODISCARD enum err database_version(struct database *database, int64_t newest, int64_t *ret_version, struct database_failure *ret_failure);

/* Looks for damage; ERR_CORRUPT with what was found first. In a large file, which would hold up the start, only in the
 * tables named in `tables` (ended by NULL): what lies deeper is met in use. */
NODISCARD enum err database_check(struct database *database, const char *const *tables, struct database_failure *ret_failure);

/* The same of these tables only, however small the file is. */
NODISCARD enum err database_check_tables(struct database *database, const char *const *tables, struct database_failure *ret_failure);

/* Runs SQL that returns nothing. */
void database_run(struct database *database, const char *sql);
/* The first column of the first row, 0 when there is none. */
int64_t database_number(struct database *database, const char *sql);
/* Of the file as it is: a file keeps the size that it was made with. Never 0. */
int64_t database_page_size(struct database *database);

/* The statement lives until database_close. NULL, and the failure kept, when it cannot be prepared. */
struct statement *database_prepare(struct database *database, const char *sql);
/* Parameters count from 1. Bytes and text must stay until the step that uses them. */
void statement_bind_int(struct statement *statement, int parameter, int64_t value);
void statement_bind_double(struct statement *statement, int parameter, double value);
void statement_bind_text(struct statement *statement, int parameter, const char *text);
void statement_bind_bytes(struct statement *statement, int parameter, const void *bytes, size_t size);
/* True with a row; false at the end or on failure, and then the statement is ready to be bound again. */
bool statement_step(struct statement *statement);
/* For statements that are left before their end. */
void statement_reset(struct statement *statement);
/* For statements that are not needed until database_close. */
void statement_done(struct statement *statement);
/* Columns count from 0; views are valid until the next step. */
int64_t statement_int(struct statement *statement, int column);
double statement_double(struct statement *statement, int column);
const char *statement_text(struct statement *statement, int column); /* never NULL */
const uint8_t *statement_bytes(struct statement *statement, int column, size_t *ret_size);

void database_begin(struct database *database);
/* Everything committed is on the disk when it returns: the log is synced as it is, which costs no page, as a checkpoint would. */
void database_sync(struct database *database);
/* Commits, or rolls back when anything since database_begin failed; ERR_OK only when the commit is done. */
NODISCARD enum err database_end(struct database *database, struct database_failure *ret_failure);
/* Hands out the failure kept so far and forgets it. */
enum err database_clear(struct database *database, struct database_failure *ret_failure);

#endif
