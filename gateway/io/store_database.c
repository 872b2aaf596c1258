/* SPDX-License-Identifier: Apache-2.0 */
/* Pragmas and their reasons: WAL, because an append costs one fsync and readers do not wait; small pages, because each one that a
 * commit touches goes whole into the log: of 1024 where each commit is synced (a sixth less was written at commits of 5 s than with 4096),
 * of 2048 for the history (4 to 15 % less than with 4096, and read faster than of 1024). No auto_vacuum: freed pages are reused. They are
 * not written once more with zeros, as some systems build the library. The log is written back when it has 1 MB, that of the history 4 MB,
 * which is above an hour of 100 readings a second: so the pages of its tail, which are written over each hour, go back less often; and it
 * keeps its size, because a file that grows again costs the file system's journal. A small cache, because the gateway shares a small board.
 * The files are this process's alone (unix-excl): the index of the log then lies in its memory, and not in a mapped file whose pages the
 * kernel writes back every 30 s, 47 MB a day. Another program gets "locked" until the gateway has ended, unless the file is a shared one. */
#include "gateway/io/store_database.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define BUSY_TIMEOUT_MS 2000
#define CHECK_BYTES_MAX (16 << 20) /* about half a second on a slow card */

struct statement {
    struct database *database;
    sqlite3_stmt *handle;
    struct statement *next;
};

struct database {
    sqlite3 *handle;
    struct statement *statements;
    struct database_failure failure;
};

static enum err err_of(int code) {
    switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_ERROR: /* a table or column that is not ours */
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
        return ERR_INVALID;
    default: /* IOERR, CANTOPEN, READONLY, PERM and the rest */
        return ERR_IO;
    }
}

/* Keeps the first failure. A full or broken disk is told by errno, which the library keeps for some operations only. */
static void fail(struct database *database, int code) {
    if (database->failure.err != ERR_OK || err_of(code) == ERR_OK)
        return;
    struct database_failure *failure = &database->failure;
    failure->code = sqlite3_extended_errcode(database->handle);
    failure->err = err_of(code);
    failure->os_error = sqlite3_system_errno(database->handle);
    if (failure->err == ERR_IO && failure->os_error == ENOSPC)
        failure->err = ERR_FULL;
    snprintf(failure->text, sizeof(failure->text), "%s", sqlite3_errmsg(database->handle));
}

enum err database_clear(struct database *database, struct database_failure *ret_failure) {
    enum err err = database->failure.err;
    if (ret_failure)
        *ret_failure = database->failure;
    database->failure = (struct database_failure){.err = ERR_OK};
    return err;
}

enum err database_open(const char *path, enum database_mode mode, struct database **ret_database, struct database_failure *ret_failure) {
    char sql[64];
    struct database *database = calloc(1, sizeof(*database));
    *ret_failure = (struct database_failure){.err = ERR_NOMEM};
    if (!database)
        return ERR_NOMEM;
    bool alone = mode != DATABASE_SHARED && mode != DATABASE_VISITOR, writes = mode != DATABASE_READER && mode != DATABASE_VISITOR;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE | (mode == DATABASE_VISITOR ? 0 : SQLITE_OPEN_CREATE);
    int code = sqlite3_open_v2(path, &database->handle, flags, alone ? DATABASE_VFS : NULL);
    if (!database->handle) {
        free(database);
        return ERR_NOMEM;
    }
    fail(database, code);
    if (mode == DATABASE_SHARED || mode == DATABASE_READER) /* seldom used: what the library keeps at hand for speed would only lie there */
        (void)sqlite3_db_config(database->handle, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    sqlite3_extended_result_codes(database->handle, 1);
    sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS);
    if (!writes) {
        database_run(database, "PRAGMA query_only = 1; PRAGMA cache_size = -256");
    } else {
        snprintf(sql, sizeof(sql), "PRAGMA page_size = %d", mode == DATABASE_NORMAL ? DATABASE_PAGE_SIZE : DATABASE_PAGE_SIZE_FULL);
        database_run(database, sql); /* a file that is there keeps its own */
        database_run(database, "PRAGMA auto_vacuum = NONE; PRAGMA secure_delete = 0; PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 8388608;"
                               "PRAGMA cache_size = -256"); /* written at the end, deleted at the beginning */
        database_run(database, mode == DATABASE_NORMAL ? "PRAGMA wal_autocheckpoint = 2000" : "PRAGMA wal_autocheckpoint = 1000");
    }
    database_run(database, mode == DATABASE_NORMAL ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
    database_run(database, "PRAGMA temp_store = MEMORY");
    database_number(database, "SELECT count(*) FROM sqlite_schema"); /* meets a file that is none */
    if (database->failure.err == ERR_OK && sqlite3_db_readonly(database->handle, "main") == 1) {
        database->failure.err = ERR_IO;
        database->failure.os_error = EACCES;
        snprintf(database->failure.text, sizeof(database->failure.text), "the file may not be written");
    }
    if (database_clear(database, ret_failure) != ERR_OK) {
        database_close(database);
        return ret_failure->err;
    }
    *ret_database = database;
    return ERR_OK;
}

void database_close(struct database *database) {
    if (!database)
        return;
    for (struct statement *statement = database->statements, *next; statement; statement = next) {
        next = statement->next;
        sqlite3_finalize(statement->handle);
        free(statement);
    }
    CHECK(sqlite3_close(database->handle) == SQLITE_OK);
    free(database);
}

enum err database_version(struct database *database, int64_t newest, int64_t *ret_version, struct database_failure *ret_failure) {
    int64_t version = database_number(database, "PRAGMA user_version");
    int64_t tables = database_number(database, "SELECT count(*) FROM sqlite_schema");
    *ret_version = version;
    if (database_clear(database, ret_failure) != ERR_OK)
        return ret_failure->err;
    if (version <= newest && (version || !tables))
        return ERR_OK;
    snprintf(ret_failure->text, sizeof(ret_failure->text), "%s (schema %lld)",
             version ? "it was written by a newer version" : "it holds something else", (long long)version);
    return ret_failure->err = ERR_CORRUPT;
}

static void check_one(struct database *database, const char *table, struct database_failure *found) {
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA quick_check(%s)", table);
    struct statement *statement = database_prepare(database, sql);
    if (statement_step(statement) && strcmp(statement_text(statement, 0), "ok") != 0 && found->err == ERR_OK) {
        *found = (struct database_failure){.err = ERR_CORRUPT, .code = SQLITE_CORRUPT};
        snprintf(found->text, sizeof(found->text), "%s", statement_text(statement, 0));
    }
    statement_done(statement);
}

enum err database_check_tables(struct database *database, const char *const *tables, struct database_failure *ret_failure) {
    struct database_failure found = {.err = ERR_OK};
    for (; *tables; tables++)
        check_one(database, *tables, &found);
    if (database_clear(database, ret_failure) == ERR_OK)
        *ret_failure = found;
    return ret_failure->err;
}

enum err database_check(struct database *database, const char *const *tables, struct database_failure *ret_failure) {
    static const char *const everything[] = {"1", NULL};
    bool whole = database_number(database, "PRAGMA page_count") * database_page_size(database) <= CHECK_BYTES_MAX;
    return database_check_tables(database, whole ? everything : tables, ret_failure);
}

void database_run(struct database *database, const char *sql) {
    if (database->failure.err == ERR_OK)
        fail(database, sqlite3_exec(database->handle, sql, NULL, NULL, NULL));
}

struct statement *database_prepare(struct database *database, const char *sql) {
    if (database->failure.err != ERR_OK)
        return NULL;
    struct statement *statement = calloc(1, sizeof(*statement));
    if (!statement) {
        database->failure.err = ERR_NOMEM;
        return NULL;
    }
    int code = sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement->handle, NULL);
    if (code != SQLITE_OK) {
        fail(database, code);
        free(statement);
        return NULL;
    }
    statement->database = database;
    statement->next = database->statements;
    database->statements = statement;
    return statement;
}

static bool usable(const struct statement *statement) {
    return statement && statement->database->failure.err == ERR_OK;
}

int64_t database_number(struct database *database, const char *sql) {
    sqlite3_stmt *handle = NULL;
    int64_t number = 0;
    if (database->failure.err != ERR_OK)
        return 0;
    int code = sqlite3_prepare_v2(database->handle, sql, -1, &handle, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(handle);
    if (code == SQLITE_ROW)
        number = sqlite3_column_int64(handle, 0);
    fail(database, code);
    sqlite3_finalize(handle);
    return number;
}

int64_t database_page_size(struct database *database) {
    int64_t size = database_number(database, "PRAGMA page_size");
    return size > 0 ? size : DATABASE_PAGE_SIZE;
}

void statement_bind_int(struct statement *statement, int parameter, int64_t value) {
    if (usable(statement))
        fail(statement->database, sqlite3_bind_int64(statement->handle, parameter, value));
}

void statement_bind_double(struct statement *statement, int parameter, double value) {
    if (usable(statement))
        fail(statement->database, sqlite3_bind_double(statement->handle, parameter, value));
}

void statement_bind_text(struct statement *statement, int parameter, const char *text) {
    if (usable(statement))
        fail(statement->database, sqlite3_bind_text(statement->handle, parameter, text, -1, SQLITE_STATIC));
}

void statement_bind_bytes(struct statement *statement, int parameter, const void *bytes, size_t size) {
    if (usable(statement))
        fail(statement->database, sqlite3_bind_blob64(statement->handle, parameter, size ? bytes : "", size, SQLITE_STATIC));
}

bool statement_step(struct statement *statement) {
    if (!usable(statement))
        return false;
    int code = sqlite3_step(statement->handle);
    if (code == SQLITE_ROW)
        return true;
    fail(statement->database, code);
    statement_reset(statement);
    return false;
}

void statement_reset(struct statement *statement) {
    if (statement) {
        sqlite3_reset(statement->handle);
        sqlite3_clear_bindings(statement->handle); /* no pointer into the caller's memory stays behind */
    }
}

void statement_done(struct statement *statement) {
    if (!statement)
        return;
    struct statement **link = &statement->database->statements;
    while (*link != statement)
        link = &(*link)->next;
    *link = statement->next;
    sqlite3_finalize(statement->handle);
    free(statement);
}

int64_t statement_int(struct statement *statement, int column) {
    return usable(statement) ? sqlite3_column_int64(statement->handle, column) : 0;
}

double statement_double(struct statement *statement, int column) {
    return usable(statement) ? sqlite3_column_double(statement->handle, column) : 0;
}

const char *statement_text(struct statement *statement, int column) {
    const unsigned char *text = usable(statement) ? sqlite3_column_text(statement->handle, column) : NULL;
    return text ? (const char *)text : "";
}

const uint8_t *statement_bytes(struct statement *statement, int column, size_t *ret_size) {
    const uint8_t *bytes = usable(statement) ? sqlite3_column_blob(statement->handle, column) : NULL;
    *ret_size = bytes ? (size_t)sqlite3_column_bytes(statement->handle, column) : 0;
    return bytes;
}

void database_begin(struct database *database) {
    CHECK(database->failure.err == ERR_OK);
    database_run(database, "BEGIN IMMEDIATE");
}

void database_sync(struct database *database) {
    sqlite3_file *log = NULL;
    if (database->failure.err != ERR_OK)
        return;
    fail(database, sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log));
    if (log && log->pMethods) /* it is there from the first commit on */
        fail(database, log->pMethods->xSync(log, SQLITE_SYNC_NORMAL));
}

enum err database_end(struct database *database, struct database_failure *ret_failure) {
    database_run(database, "COMMIT");
    if (database->failure.err != ERR_OK) {
        for (struct statement *statement = database->statements; statement; statement = statement->next)
            statement_reset(statement);
        if (!sqlite3_get_autocommit(database->handle))
            sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL); /* the first failure is what counts */
    }
    return database_clear(database, ret_failure);
}
