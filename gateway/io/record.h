/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder: what the engine was told, into a bounded ring of two files, so that a fault in the field can be replayed
 * (`yanhuo replay`, docs/replay.md). PATH is the newer half, PATH.1 the older; each begins with all that a replay needs.
 *
 * Guarantees: record_step never waits for the disk and takes no memory; what does not fit into the recorder's buffer is counted and
 * marked in the file. Both files together stay below the size. A file from before this start is kept as PATH.1, not overwritten at once.
 * No password is written: plain ones are blanked out of the copy of the configuration, or nothing is recorded at all. A disk that fails ends no gateway. */
#ifndef YANHUO_RECORD_H
#define YANHUO_RECORD_H

#include "base/trace.h"
#include "gateway/core/event.h"

#define RECORD_SIZE_DEFAULT 16000000
#define RECORD_SIZE_LEAST 1000000 /* the anchor of a small site takes 60 kB; what is left holds a quarter of an hour at ten polls a second */

struct record;

struct record_options {
    const char *path;    /* NULL: nothing is recorded */
    uint64_t bytes_most; /* of both files */
};

/* Where its few lines for the log go. Called on the recorder's thread, at the start on the loop's; must hand over and return at once. */
struct record_sink {
    void *context;
    void (*traced)(void *context, const struct trace_line *line);
};

/* Reads the files of the configuration again; start-up only. False: *ret_why says why nothing can be recorded (200 bytes). `program` is
 * the program's version. */
bool record_open(const struct record_options *options, const struct config *config, const char *program, const struct record_sink *sink,
                 struct record **ret_record, char ret_why[200]);
/* After each engine_step, the first being START, on the loop; NULL is allowed. */
void record_step(struct record *record, const struct event *event, const struct effects *effects, const struct trace *trace);
/* Writes what is left and the end. NULL is allowed. */
void record_close(struct record *record);

#endif
