/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `yanhuo replay` share: replay.c the command line and the summary, replay_file.c a recording in memory and its
 * configuration, replay_step.c the engine and what it is compared with, replay_fit.c an event made to fit an engine that did otherwise. */
#ifndef YANHUO_REPLAY_H
#define YANHUO_REPLAY_H

#include "config/load.h"
#include "gateway/engine.h"
#include "gateway/io/record_file.h"

/* ---- replay_file.c ---- */

struct replay_file {
    uint8_t *bytes;
    size_t size;
    struct record_head head;
    struct bytes_reader steps; /* behind the anchor */
};

/* The whole file, up to its anchor's end; false: said on stderr. */
bool replay_file_read(const char *path, struct replay_file *ret_file);
/* The same for a file that need not be there or be whole: false without a word. */
bool replay_file_try(const char *path, struct replay_file *ret_file);
void replay_file_free(struct replay_file *file);
/* The configuration it was recorded under, in the arena; false: said on stderr. */
bool replay_file_config(const struct replay_file *file, struct arena *arena, struct config *ret_config);
/* START, and the links that stood. */
bool replay_file_start(const struct replay_file *file, const struct config *config, struct arena *arena, struct event *ret_start);
void replay_file_links(const struct replay_file *file, const struct config *config, void (*take)(void *context, const struct event *up), void *context);

/* ---- replay_fit.c ---- */

/* What the world owes the replayed engine. As long as it does what was recorded, every event is an answer to what it wanted. */
struct replay_uplink {
    bool connecting, disconnecting; /* wished for, not answered */
    bool world_up;                  /* as the recording says */
    struct event up;                /* LINK_UP as it was */
    bool in_flight[WINDOW_MAX];
    uint64_t sent[WINDOW_MAX], sent_next; /* the order */
    bool asked;
    enum lane lane;
    uint64_t after_seq, through_seq;
};

#define REPLAY_WRITES 64
struct replay_fit {
    const struct config *config;
    struct replay_uplink uplinks[UPLINKS_MAX];
    bool storing[LANES_COUNT];
    uint64_t storing_seq[LANES_COUNT];
    struct write_command writes[REPLAY_WRITES]; /* handed to a bus, not answered; id 0: free */
    uint64_t changed, skipped;                  /* events that were made to fit; that had no place */
};

void replay_fit_wants(struct replay_fit *fit, const struct effects *effects);
/* `exact`: only what could not be given to an engine at all is changed. False: the event has no place. */
bool replay_fit_event(struct replay_fit *fit, struct event *event, struct event_room *room, bool exact);
/* An answer that the world owes and the recording does not hold: the next link to be told. */
bool replay_fit_owed(struct replay_fit *fit, struct event *ret_event);

/* ---- replay_step.c ---- */

struct replay_options {
    int64_t from_ms, until_ms;
    bool events; /* --trace */
};

struct replay_decision { /* of one kind; `recorded` and `replayed` count it */
    uint32_t decision;
    uint64_t recorded, replayed;
    int64_t first_ms;
};

struct replay {
    struct replay_options options;
    struct config config;
    struct arena arena;
    struct trace trace;
    struct engine *engine;
    struct effects effects;
    struct replay_fit fit;
    struct event_room room;
    bool exact; /* every effect so far was the recorded one; from an anchor never */
    bool running;
    struct now now;
    int64_t settled_us; /* decisions are compared from here on */
    uint64_t steps, lost, sends, writes, alarms;
    bool differs;
    uint64_t differs_at;
    int64_t differs_ms;
    enum event_kind differs_kind;
    struct replay_decision *decisions;
    size_t decisions_count, decisions_room;
    bool damaged;
    int64_t first_ms, last_ms;
};

NODISCARD bool replay_begin(struct replay *replay, const struct replay_file *file);
/* The frames of one file, in order. */
void replay_run(struct replay *replay, const struct replay_file *file);
/* Kinds of decisions that were not made as often as recorded. */
uint64_t replay_undecided(const struct replay *replay, int64_t *ret_first_ms);
void replay_end(struct replay *replay);

#endif
