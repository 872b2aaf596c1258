/* SPDX-License-Identifier: Apache-2.0 */
/* Events as bytes and back, for the recording of a gateway and its replay; and what a step wanted as a number, to tell whether a
 * replay wanted the same. Pure; any thread.
 *
 * Whatever the bytes, event_get reads an event whose every field is possible, or none: enumerations exist, texts end, counts fit.
 * What only the configuration knows (does device 7 exist?) is event_fits; an event that passed both may be given to an engine. */
#ifndef YANHUO_EVENT_CODEC_H
#define YANHUO_EVENT_CODEC_H

#include "base/bytes.h"
#include "base/trace.h"
#include "gateway/core/event.h"

#define EVENT_CODEC_SIZE (QUERY_ROWS_SIZE + 1024) /* the longest event beside START: a backlog read; a poll of 128 texts takes 8 kB */

#define EVENT_TIME_MOST (INT64_MAX / 4096) /* so that no sum of two times, and no time in the other unit, is past what a number holds */

/* Where the pointers of an event that was read lead to. */
struct event_room {
    struct polled polled;
    struct written written;
    struct command command;
    struct disk_status disk;
    int64_t busy_us[VITALS_PARTS_MAX];
    struct vitals_bounds bounds[VITALS_KINDS_COUNT];
    char text[LINE_SIZE];
};

/* Any event but START. */
void event_put(struct bytes_writer *writer, const struct event *event);
/* Rows and the room are used until the next one is read; false: damaged. The whole of the reader must be the event. */
NODISCARD bool event_get(struct bytes_reader *reader, struct event_room *room, struct event *ret_event);
/* The configuration has what the event speaks of. */
bool event_fits(const struct config *config, const struct event *event);

/* START with its image: as large as the image, see start_size. Its memory comes from the arena when it is read. */
size_t start_size(const struct config *config, const struct store_image *image);
void start_put(struct bytes_writer *writer, const struct config *config, const struct event *event);
NODISCARD bool start_get(struct bytes_reader *reader, const struct config *config, struct arena *arena, struct event *ret_event);

void cursor_put(struct bytes_writer *writer, const struct cursor *cursor);
bool cursor_get(struct bytes_reader *reader, struct cursor *ret_cursor);

/* EVENT_VITALS; in event_vitals.c. */
void event_put_vitals(struct bytes_writer *writer, const struct event *event);
void event_get_vitals(struct bytes_reader *reader, struct event_room *room, struct event *event);
bool event_fits_vitals(const struct config *config, const struct event *event);

const char *event_kind_name(enum event_kind kind);

/* Over everything that a step wanted: topics, payloads, sealed bytes, cursors, records, writes. */
uint64_t effects_hash(const struct effects *effects);
/* What a step decided at the site, apart from ids and deliveries: one number for each write, and for each line of the trace about
 * an alarm, an action or a problem; 0 for any other. */
uint32_t effect_decision(const struct effect *effect);
uint32_t trace_decision(const struct trace_line *line);

#endif
