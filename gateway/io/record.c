/* SPDX-License-Identifier: Apache-2.0 */
/* Two halves with a ring of bytes between them.
 *
 *   loop thread: record_step writes frames (kind, size, body) into the ring, whole or not at all; what does not fit is a lost step
 *   writer thread: takes frames, keeps the image of the next anchor up to date (record_image.c), writes those that belong into the file
 *
 * The lock is held only while the ring's counters are moved and a frame is copied, never while a file is written. Nobody is woken for a
 * frame: the writer looks four times a second, and at once when the ring is half full.
 *
 * Files. PATH grows to half the size; then it becomes PATH.1 (over the older one) and a new PATH begins with an anchor. The first PATH of
 * a start begins with the real START, and what stood at PATH before becomes PATH.1: the last minutes before a crash outlive the restart.
 * When writing fails it is said once, and tried again with a new anchor after RETRY_US; steps until then are lost, and counted. */
#include "gateway/io/record.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/check.h"
#include "base/now.h"
#include "base/thread.h"
#include "gateway/io/record_state.h"

#define RING_SIZE (1u << 20) /* a thousand polls, or seven backlog reads: seconds of a disk that stalls */
#define SCRATCH_SIZE (EVENT_CODEC_SIZE + 4 * EFFECTS_MAX + 4 * TRACE_LINES_MAX + 64)
#define LOOK_US 250000
#define RETRY_US 60000000
#define PATH_SIZE 4096

struct record {
    const struct config *config;
    struct record_sink sink;
    struct record_config files;
    struct record_head head;
    char path[PATH_SIZE], older[PATH_SIZE + 2];
    uint64_t half;
    uint8_t *ring, *scratch; /* the scratch is the loop's */
    pthread_mutex_t lock;
    pthread_cond_t news;
    pthread_t thread;
    bool running;
    /* Under the lock. */
    size_t first, count; /* bytes in the ring */
    uint64_t lost;       /* steps since the last frame that went in */
    bool stop;
    /* The writer's. */
    struct record_image image;
    uint8_t *start; /* the real one; NULL once it is written */
    size_t start_length;
    uint8_t *taken;
    FILE *file;
    uint64_t written, lost_unwritten;
    bool failing;
    int64_t retry_us;
};

__attribute__((format(printf, 3, 4))) static void tell(const struct record *record, enum trace_level level, const char *format, ...) {
    struct trace_line line = {.mono_us = now_mono_us(), .level = level};
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof(line.text), format, args);
    va_end(args);
    record->sink.traced(record->sink.context, &line);
}

/* ---- the loop's half ---- */

static void ring_copy_in(struct record *record, const void *bytes, size_t size) {
    size_t at = (record->first + record->count) % RING_SIZE, head = RING_SIZE - at < size ? RING_SIZE - at : size;
    memcpy(record->ring + at, bytes, head);
    memcpy(record->ring, (const uint8_t *)bytes + head, size - head);
    record->count += size;
}

/* Whole or not at all. A frame that tells of what was lost goes before the next that fits. */
static bool ring_put(struct record *record, enum frame_kind kind, const struct bytes_writer *body) {
    uint8_t head[FRAME_HEAD_SIZE], lost_head[FRAME_HEAD_SIZE], lost_bytes[10];
    struct bytes_writer lost;
    bytes_writer_init(&lost, lost_bytes, sizeof(lost_bytes));
    frame_head(head, kind, (uint32_t)body->length);
    pthread_mutex_lock(&record->lock);
    bytes_put_varint(&lost, record->lost);
    frame_head(lost_head, FRAME_LOST, (uint32_t)lost.length);
    size_t extra = record->lost ? sizeof(lost_head) + lost.length : 0;
    bool fits = !body->full && RING_SIZE - record->count >= sizeof(head) + body->length + extra;
    if (fits && extra) {
        ring_copy_in(record, lost_head, sizeof(lost_head));
        ring_copy_in(record, lost.bytes, lost.length);
        record->lost = 0;
    }
    if (fits) {
        ring_copy_in(record, head, sizeof(head));
        ring_copy_in(record, body->bytes, body->length);
    }
    record->lost += !fits;
    if (record->count > RING_SIZE / 2)
        pthread_cond_signal(&record->news);
    pthread_mutex_unlock(&record->lock);
    return fits;
}

static void put_decision(struct bytes_writer *writer, uint32_t decision) {
    if (decision)
        bytes_put_u32(writer, decision);
}

static void step_put(struct bytes_writer *writer, const struct event *event, const struct effects *effects, const struct trace *trace) {
    unsigned count = 0;
    bytes_put_u64(writer, effects_hash(effects));
    for (unsigned i = 0; i < effects->count; i++)
        count += effect_decision(&effects->items[i]) != 0;
    for (unsigned i = 0; i < trace->count; i++)
        count += trace_decision(&trace->lines[(trace->first + i) % TRACE_LINES_MAX]) != 0;
    bytes_put_varint(writer, count);
    for (unsigned i = 0; i < effects->count; i++)
        put_decision(writer, effect_decision(&effects->items[i]));
    for (unsigned i = 0; i < trace->count; i++)
        put_decision(writer, trace_decision(&trace->lines[(trace->first + i) % TRACE_LINES_MAX]));
    if (event)
        event_put(writer, event);
}

/* What an anchor is made of. A frame that is lost makes the next anchor incomplete, which its head says. */
static void put_saved(struct record *record, const struct effect *effect) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, record->scratch, SCRATCH_SIZE);
    if (effect->kind == EFFECT_CURSOR) {
        bytes_put_u8(&writer, (uint8_t)effect->cursor.uplink);
        bytes_put_u8(&writer, (uint8_t)effect->cursor.lane);
        cursor_put(&writer, effect->cursor.cursor);
        ring_put(record, FRAME_CURSOR, &writer);
        return;
    }
    bytes_put_u64(&writer, effect->store.last_seq);
    ring_put(record, FRAME_SEQ, &writer);
    for (unsigned i = 0; i < effect->store.records_count; i++) {
        const struct record_save *save = &effect->store.records[i];
        writer.length = 0;
        bytes_put_text(&writer, save->owner);
        bytes_put_text(&writer, save->name);
        bytes_put_raw(&writer, save->bytes, save->size);
        ring_put(record, FRAME_RECORD, &writer);
    }
}

static void *writer_main(void *context);

/* Before READY: memory and the thread are taken here. */
static void begin(struct record *record, const struct event *event, const struct effects *effects, const struct trace *trace) {
    size_t room = start_size(record->config, event->start.image);
    struct bytes_writer writer;
    record->start = malloc(room);
    if (!record->start || !record_image_open(&record->image, record->config, event)) {
        tell(record, TRACE_WARNING, "nothing is recorded: there is not enough memory");
        return;
    }
    bytes_writer_init(&writer, record->start, room);
    start_put(&writer, record->config, event);
    CHECK(!writer.full);
    record->start_length = writer.length;
    record->head.start = event->start.start;
    bytes_writer_init(&writer, record->scratch, SCRATCH_SIZE);
    step_put(&writer, NULL, effects, trace);
    ring_put(record, FRAME_BEGAN, &writer);
    record->running = thread_start(&record->thread, writer_main, record, "recorder");
    if (!record->running)
        tell(record, TRACE_WARNING, "nothing is recorded: there is no thread to be had");
}

void record_step(struct record *record, const struct event *event, const struct effects *effects, const struct trace *trace) {
    if (!record)
        return;
    if (event->kind == EVENT_START)
        begin(record, event, effects, trace);
    if (!record->running)
        return;
    if (event->kind != EVENT_START) {
        struct bytes_writer writer;
        bytes_writer_init(&writer, record->scratch, SCRATCH_SIZE);
        step_put(&writer, event, effects, trace);
        ring_put(record, FRAME_STEP, &writer);
    }
    for (unsigned i = 0; i < effects->count; i++)
        if (effects->items[i].kind == EFFECT_STORE || effects->items[i].kind == EFFECT_CURSOR)
            put_saved(record, &effects->items[i]);
}

/* ---- the writer's half ---- */

static void fail(struct record *record) {
    if (!record->failing)
        tell(record, TRACE_WARNING, "recording: %s cannot be written: %s; it is tried again each minute", record->path, strerror(errno));
    if (record->file)
        fclose(record->file);
    record->file = NULL;
    record->failing = true;
    record->retry_us = now_mono_us() + RETRY_US;
}

static void write_frame(struct record *record, enum frame_kind kind, const uint8_t *body, size_t size) {
    uint8_t head[FRAME_HEAD_SIZE], check[FRAME_CHECK_SIZE];
    if (!record->file)
        return;
    frame_head(head, kind, (uint32_t)size);
    struct bytes_writer writer;
    bytes_writer_init(&writer, check, sizeof(check));
    bytes_put_u32(&writer, frame_check(head, body, size));
    bool ok = fwrite(head, 1, sizeof(head), record->file) == sizeof(head) && fwrite(body, 1, size, record->file) == size &&
              fwrite(check, 1, sizeof(check), record->file) == sizeof(check);
    record->written += sizeof(head) + size + sizeof(check);
    if (!ok)
        fail(record);
}

static void write_anchor(struct record *record, bool real) {
    uint8_t bytes[512], *start = real ? record->start : NULL; /* a head, or a link */
    size_t size = record->start_length;
    struct bytes_writer writer;
    if (!real && !record_image_start(&record->image, &start, &size)) {
        errno = ENOMEM;
        fail(record);
        return;
    }
    record->head.anchor = !real;
    record->head.absent = !real && record->image.incomplete;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    record_head_put(&writer, &record->head);
    write_frame(record, FRAME_HEAD, writer.bytes, writer.length);
    for (unsigned i = 0; i < record->files.count; i++)
        write_frame(record, FRAME_FILE, record->files.files[i].bytes, record->files.files[i].size);
    write_frame(record, FRAME_START, start, size);
    for (unsigned i = 0; !real && i < record->config->uplinks_count; i++) {
        writer.length = 0;
        event_put(&writer, &record->image.links[i]);
        if (record->image.up[i])
            write_frame(record, FRAME_LINK, writer.bytes, writer.length);
    }
    if (!real)
        free(start);
}

/* What stands at PATH becomes the older half. */
static void begin_file(struct record *record) {
    bool real = record->start != NULL && !record->head.lost; /* what comes next is what came next */
    if (record->file && fclose(record->file) != 0) {
        record->file = NULL;
        fail(record);
        return;
    }
    record->file = NULL;
    if (rename(record->path, record->older) != 0 && errno != ENOENT) {
        fail(record);
        return;
    }
    record->file = fopen(record->path, "we");
    if (!record->file) {
        fail(record);
        return;
    }
    record->head.number++;
    record->written = RECORD_MAGIC_SIZE;
    if (fwrite(RECORD_MAGIC, 1, RECORD_MAGIC_SIZE, record->file) != RECORD_MAGIC_SIZE) {
        fail(record);
        return;
    }
    write_anchor(record, real);
    free(record->start);
    record->start = NULL;
    if (record->written > record->half / 2) {
        tell(record, TRACE_WARNING, "recording ends: what a replay begins with takes %llu bytes; give --record-size %llu MB or more",
                 (unsigned long long)record->written, (unsigned long long)(record->written / 250000 + 1));
        if (record->file)
            fclose(record->file);
        record->file = NULL;
        record->retry_us = NOW_NEVER;
        return;
    }
    if (record->file && record->failing) {
        record->failing = false;
        tell(record, TRACE_INFO, "recording: %s is written again", record->path);
    }
}

static void take_lost(struct record *record, const uint8_t *body, size_t size) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, body, size);
    uint64_t lost = bytes_get_varint(&reader);
    if (!record->head.lost)
        tell(record, TRACE_WARNING, "recording: the disk does not keep up; steps are missing in %s", record->path);
    record->head.lost += lost;
}

static void take_frame(struct record *record, enum frame_kind kind, const uint8_t *body, size_t size) {
    if (kind == FRAME_LOST)
        take_lost(record, body, size);
    bool of_file = kind == FRAME_STEP || kind == FRAME_LOST || kind == FRAME_BEGAN;
    uint64_t whole = FRAME_HEAD_SIZE + size + FRAME_CHECK_SIZE;
    /* The image stands before this frame when a new file begins with it. */
    if (record->file && kind == FRAME_STEP && record->written + whole > record->half)
        begin_file(record);
    else if (!record->file && now_mono_us() >= record->retry_us)
        begin_file(record);
    record_image_frame(&record->image, kind, body, size);
    if (of_file && !record->file)
        record->head.lost += kind != FRAME_LOST;
    if (of_file)
        write_frame(record, kind, body, size);
}

static void ring_copy_out(const struct record *record, size_t from, uint8_t *bytes, size_t size) {
    size_t at = (record->first + from) % RING_SIZE, head = RING_SIZE - at < size ? RING_SIZE - at : size;
    memcpy(bytes, record->ring + at, head);
    memcpy(bytes + head, record->ring, size - head);
}

/* The next frame into `taken`; false when the ring is empty. The lock is held. */
static bool ring_take(struct record *record, enum frame_kind *ret_kind, size_t *ret_size) {
    uint8_t head[FRAME_HEAD_SIZE];
    if (!record->count)
        return false;
    ring_copy_out(record, 0, head, sizeof(head));
    *ret_kind = (enum frame_kind)head[0];
    *ret_size = frame_size(head);
    CHECK(*ret_size <= SCRATCH_SIZE && sizeof(head) + *ret_size <= record->count);
    ring_copy_out(record, sizeof(head), record->taken, *ret_size);
    record->first = (record->first + sizeof(head) + *ret_size) % RING_SIZE;
    record->count -= sizeof(head) + *ret_size;
    return true;
}

/* Waits for LOOK_US, or until the ring is half full; the lock is held. */
static void wait_news(struct record *record) {
    int64_t until_us = now_mono_us() + LOOK_US;
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000 * 1000)};
    pthread_cond_timedwait(&record->news, &record->lock, &until);
}

static void *writer_main(void *context) {
    struct record *record = context;
    enum frame_kind kind;
    size_t size;
    pthread_mutex_lock(&record->lock);
    for (bool stop = false; !stop;) {
        stop = record->stop; /* seen before the ring was: nothing comes after it */
        while (ring_take(record, &kind, &size)) {
            pthread_mutex_unlock(&record->lock);
            take_frame(record, kind, record->taken, size);
            pthread_mutex_lock(&record->lock);
        }
        pthread_mutex_unlock(&record->lock);
        if (record->file && fflush(record->file) != 0)
            fail(record);
        pthread_mutex_lock(&record->lock);
        if (!stop && !record->stop)
            wait_news(record);
    }
    pthread_mutex_unlock(&record->lock);
    write_frame(record, FRAME_END, record->taken, 0);
    if (record->file && fclose(record->file) != 0)
        tell(record, TRACE_WARNING, "recording: the end of %s is not written: %s", record->path, strerror(errno));
    record->file = NULL;
    return NULL;
}

/* ---- life ---- */

static void free_all(struct record *record) {
    record_config_free(&record->files);
    record_image_close(&record->image);
    free(record->start);
    free(record->ring);
    free(record->scratch);
    free(record->taken);
    free(record);
}

bool record_open(const struct record_options *options, const struct config *config, const char *program, const struct record_sink *sink,
                 struct record **ret_record, char ret_why[200]) {
    *ret_record = NULL;
    if (!options->path)
        return true;
    struct record *record = calloc(1, sizeof(*record));
    if (!record) {
        snprintf(ret_why, 200, "there is not enough memory");
        return false;
    }
    record->config = config;
    record->sink = *sink;
    record->half = options->bytes_most / 2;
    record->head.utc_offset_minutes = config->utc_offset_minutes;
    (void)text_copy(record->head.version, sizeof(record->head.version), program);
    memcpy(record->head.hash, config->hash, sizeof(record->head.hash));
    memcpy(record->head.profiles_hash, config->profiles_hash, sizeof(record->head.profiles_hash));
    bool fits = snprintf(record->path, sizeof(record->path), "%s", options->path) < PATH_SIZE;
    snprintf(record->older, sizeof(record->older), "%s.1", record->path);
    record->ring = malloc(RING_SIZE);
    record->scratch = malloc(SCRATCH_SIZE);
    record->taken = malloc(SCRATCH_SIZE);
    bool ok = fits && record->ring && record->scratch && record->taken;
    if (!ok)
        snprintf(ret_why, 200, fits ? "there is not enough memory" : "the path is too long");
    ok = ok && record_config_read(config, &record->files, ret_why);
    if (!ok) {
        free_all(record);
        return false;
    }
    memset(record->ring, 0, RING_SIZE); /* used once, so that resident memory stands still from then on */
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&record->news, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&record->lock, NULL);
    *ret_record = record;
    return true;
}

void record_close(struct record *record) {
    if (!record)
        return;
    if (record->running) {
        pthread_mutex_lock(&record->lock);
        record->stop = true;
        pthread_cond_signal(&record->news);
        pthread_mutex_unlock(&record->lock);
        pthread_join(record->thread, NULL);
    }
    pthread_cond_destroy(&record->news);
    pthread_mutex_destroy(&record->lock);
    free_all(record);
}
