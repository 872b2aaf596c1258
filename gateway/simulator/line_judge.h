/* SPDX-License-Identifier: Apache-2.0 */
/* Judges the master of a serial line by times alone: who spoke when, in what order. Pure: no clock, no I/O, no memory taken.
 *
 * Two violations, seen at the first byte of a request:
 *   TALKOVER  bytes of a device are still coming, and at least one of them had been handed over
 *   EARLY     less than 3.5 characters (1.75 ms above 19200 baud) after the last byte on the line, of a device or its own
 * A byte counts as known to the master LINE_JUDGE_REACTION_US after its last bit: nobody can heed what he could not have read.
 *
 * Efficiency: of every exchange that got its answer the shortest time it could have taken (request, turnaround, reply, 3.5
 * characters), summed up, by all the time from the first request's beginning to the last one's. An exchange lasts until the
 * next request begins, so whatever the master does meanwhile is counted; the last exchange is open and not counted yet.
 * The same of the exchanges that nothing disturbed: no fault was played in them and no stray bytes came. */
#ifndef YANHUO_LINE_JUDGE_H
#define YANHUO_LINE_JUDGE_H

#include "sensors/frame.h"

#define LINE_JUDGE_REACTION_US 500
#define LINE_JUDGE_SPANS 8 /* spoken spans remembered; more are never near a request */

enum line_violation { LINE_CLEAN, LINE_EARLY, LINE_TALKOVER };

const char *line_violation_name(enum line_violation violation); /* "", "EARLY", "TALKOVER" */

struct line_span { /* bytes without a pause */
    int64_t begin_us;
    size_t size;
};

struct line_share { /* of the line's time */
    int64_t ideal_us, elapsed_us;
};

struct line_judge {
    struct line_timing timing;
    struct line_span spoken[LINE_JUDGE_SPANS];
    unsigned spoken_count;
    int64_t own_end_us; /* when the master's own last byte had left; NOW_NEVER before the first */
    bool open, disturbed;
    int64_t open_us, open_ideal_us; /* ideal 0: no answer */
    uint64_t requests, answered, early, talkover;
    struct line_share all, undisturbed;
};

void line_judge_init(struct line_judge *judge, const struct line_timing *timing);

/* A request's first byte came at `at_us`. */
enum line_violation line_judge_request(struct line_judge *judge, int64_t at_us);
/* The request under way occupies the line until `end_us`. */
void line_judge_sent(struct line_judge *judge, int64_t end_us);
/* A device, or noise, occupies the line from `begin_us`, which may lie ahead. */
void line_judge_spoken(struct line_judge *judge, int64_t begin_us, size_t size);
/* The exchange under way has, or will have, its answer: sizes of both frames as good devices send them. */
void line_judge_answered(struct line_judge *judge, size_t request_size, int64_t turnaround_us, size_t reply_size);
/* A fault is played in the exchange under way, or stray bytes of an earlier one arrive in it. */
void line_judge_disturbed(struct line_judge *judge);
/* Counts from here; what is on the line is remembered. */
void line_judge_recount(struct line_judge *judge);

/* In hundredths of a percent; 0 before anything was counted. */
unsigned line_share_hundredths(const struct line_share *share);

#endif
