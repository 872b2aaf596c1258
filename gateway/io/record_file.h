/* SPDX-License-Identifier: Apache-2.0 */
/* A recording as a file: the word RECORD_MAGIC, then frames. Shared by the recorder and by `yanhuo replay`; any thread.
 *
 * A frame is kind u8, size u32 (little-endian), the body, and a check u32 over all of it. A file that was cut by a power cut ends with
 * half a frame; a damaged one is found by the check. In both cases what stands before is good.
 * A file begins with HEAD, the FILEs of the configuration, START and LINKs; that is its anchor: a replay can begin there. */
#ifndef YANHUO_RECORD_FILE_H
#define YANHUO_RECORD_FILE_H

#include "base/bytes.h"
#include "gateway/core/event_codec.h"

#define RECORD_MAGIC "YHRECORD1\n"
#define RECORD_MAGIC_SIZE 10
#define FRAME_HEAD_SIZE 5
#define FRAME_CHECK_SIZE 4
#define FRAME_SIZE_MAX (64u << 20) /* of a body that is read: the image of the largest plant takes a quarter */

enum frame_kind { /* written: never renumbered */
    FRAME_HEAD = 1,  /* struct record_head */
    FRAME_FILE = 2,  /* enum config_file_kind u8, name, bytes: one file of the configuration, without passwords */
    FRAME_START = 3, /* start_put */
    FRAME_LINK = 4,  /* LINK_UP as an event: this link stood at the anchor */
    FRAME_STEP = 5,  /* effects_hash u64, decisions (count, u32 each), the event */
    FRAME_LOST = 6,  /* count: so many steps are missing here, the recorder was behind */
    FRAME_END = 7,   /* the gateway ended in order */
    FRAME_BEGAN = 8, /* as STEP, of the real START and without the event */
    /* From the loop to the recorder's thread only, for the next anchor; not in files. */
    FRAME_RECORD = 64, /* owner, name, bytes */
    FRAME_CURSOR = 65, /* uplink, lane, cursor */
    FRAME_SEQ = 66,    /* the newest seq given to the store */
};

struct record_head {
    char version[NAME_SIZE]; /* of the program */
    uint64_t start;          /* of the process: files with the same belong together */
    uint64_t number;         /* of this file, from 1 */
    bool anchor;             /* begins in the middle: START is what a restart would have read then */
    bool absent;             /* parts of the image were lost with the frames that told of them */
    char hash[17], profiles_hash[17];
    int utc_offset_minutes;
    uint64_t lost; /* steps, until here */
};

void record_head_put(struct bytes_writer *writer, const struct record_head *head);
bool record_head_get(struct bytes_reader *reader, struct record_head *ret_head);

/* Puts kind and size of a body of `size` bytes; the check over both and the body. */
void frame_head(uint8_t head[FRAME_HEAD_SIZE], enum frame_kind kind, uint32_t size);
uint32_t frame_size(const uint8_t head[FRAME_HEAD_SIZE]); /* of the body */
uint32_t frame_check(const uint8_t head[FRAME_HEAD_SIZE], const void *body, size_t size);

/* Takes the next frame; false at the end, or where the file is cut or damaged: then *ret_damaged. */
bool frame_get(struct bytes_reader *reader, enum frame_kind *ret_kind, struct bytes_reader *ret_body, bool *ret_damaged);

#endif
