/* SPDX-License-Identifier: Apache-2.0 */
/* What may still come from one unit on a line, so that a late answer does not become another register's value. Pure.
 *
 * RTU has no transaction number: an answer tells only its unit id, its function and its length. So after a request that was
 * not answered in time, its answer may come while the unit is asked something else of the same shape, and would be believed.
 *
 *   CLEAR -- a request ends in doubt --> WINDOW of that request, until its end + window
 *     in a window   the identical request               may be sent
 *                   another of the same shape           waits until the window ends
 *                   one of another shape                may be sent, and so may requests to other units
 *     in doubt is   a request that was not answered in time (or by something damaged), and one that was answered while an
 *                   answer to an earlier one could still come and would look the same: its own answer may then still come
 *   WINDOW -- its time passed --> CLEAR
 *
 * Assumed: an answer comes at most `window` after its request was given up, and each request is answered at most once.
 * Guaranteed under that: the value taken from an answer is of the register asked for, and was formed by the device after the
 * oldest identical request was sent whose window had not ended. The reading's time is when its last byte was read; struct
 * polled tells by `older_us` how much older the value may be, 0 for all but an answer to the identical request in its window.
 *
 * Nothing waits for ever: while one that waits has a claim (it is fire, or the identical one is not, or it has waited for
 * LATE_WAIT_MAX_US), the identical request waits too, so that the window ends; at its end the one that waited goes first.
 * Windows are kept for LATE_WINDOWS_MAX shapes; with more the unit is asked nothing until one of them has ended.
 *
 * Writes never wait: the echo of one value tells what was written. That of several (function 16) does not tell the values, so
 * such a write that ends in a window is reported as not done (late_hides_write) and repeated by whoever wants it. */
#ifndef YANHUO_LATE_H
#define YANHUO_LATE_H

#include "sensors/frame.h"

#define LATE_WINDOWS_MAX 4        /* three misses make a device dead, and then it is asked one thing only */
#define LATE_HEAD_SIZE 5          /* function, address, count or value: all that an answer can be compared with */
#define LATE_WAIT_MAX_US 10000000 /* as long as anything of the schedule may be put off */

struct late_window {
    uint8_t head[LATE_HEAD_SIZE]; /* of the request whose answer may still come */
    int64_t sent_us;              /* when the oldest such was sent since the window opened */
    int64_t until_us;             /* 0: unused */
    int64_t waits_since_us;       /* another request waits for the end since then; 0: none */
    bool waits_fire;
};

struct late {
    struct late_window windows[LATE_WINDOWS_MAX];
    int64_t rest_until_us; /* more shapes than windows: nothing before this */
};

/* The window of a device with this ceiling of its response timeout. */
int64_t late_window_us(int64_t ceiling_us);

/* When this read may be sent: `now_us`, or a later time at which to ask again. */
int64_t late_allows_us(const struct late *late, const struct pdu *request, bool fire, int64_t now_us);
/* It was not allowed and waits since `since_us`. */
void late_waits(struct late *late, const struct pdu *request, bool fire, int64_t since_us, int64_t now_us);

/* Could the answer to `request` that was read at `at_us` be that of an earlier one? */
bool late_doubts(const struct late *late, const struct pdu *request, bool exception, int64_t at_us);
/* How long before `at_us` the oldest identical request was sent whose answer this may be; 0 when it can only be its own. */
int64_t late_age_us(const struct late *late, const struct pdu *request, int64_t at_us);
/* A write whose answer does not tell whether it was this one. */
bool late_hides_write(const struct late *late, const struct pdu *request, int64_t at_us);

/* `request` ended in doubt: nothing came, or what came may have been another's. Its window lasts until `until_us`. */
void late_open(struct late *late, const struct pdu *request, int64_t sent_us, int64_t until_us, int64_t now_us);
/* Is any window open? */
bool late_is_open(const struct late *late, int64_t now_us);
void late_check(const struct late *late);

#endif
