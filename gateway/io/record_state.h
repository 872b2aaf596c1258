/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the recorder: what its files share. */
#ifndef YANHUO_RECORD_STATE_H
#define YANHUO_RECORD_STATE_H

#include "gateway/io/record.h"
#include "gateway/io/record_file.h"

/* ---- record_image.c: what a restart would read now, from what was seen going to the store ---- */

struct record_item {
    char *owner, *name; /* NULL: free */
    uint8_t *bytes;
    size_t size; /* 0: removed */
};

struct record_image {
    const struct config *config;
    struct store_image image;    /* records apart */
    struct record_item *items;   /* open addressing, at most half full */
    size_t items_size, items_count;
    uint64_t start, seed;
    struct now now; /* of the last event */
    bool up[UPLINKS_MAX];
    struct event links[UPLINKS_MAX]; /* the LINK_UP of those that stand */
    bool incomplete;
    struct event_room room;
};

/* Copies the start's image; false: no memory. */
bool record_image_open(struct record_image *image, const struct config *config, const struct event *start);
void record_image_close(struct record_image *image);
void record_image_frame(struct record_image *image, enum frame_kind kind, const uint8_t *body, size_t size);
/* START as of now; *ret_bytes is the caller's to free. False: no memory. */
bool record_image_start(const struct record_image *image, uint8_t **ret_bytes, size_t *ret_size);

/* ---- record_config.c: the files of the configuration, without secrets, as FRAME_FILE bodies ---- */

struct record_config_file {
    uint8_t *bytes;
    size_t size;
};

struct record_config {
    struct record_config_file *files;
    unsigned count;
};

bool record_config_read(const struct config *config, struct record_config *ret_files, char ret_why[200]);
void record_config_free(struct record_config *files);

#endif
