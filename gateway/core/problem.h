/* SPDX-License-Identifier: Apache-2.0 */
/* Problems (问题): what an alarm found, struck off one by one (销号). A problem stays when its alarm has gone: it is closed by people.
 * Pure; owned by the core.
 *
 *    alarm comes                assign                 rectify                    close, by another person than who rectified it,
 *   ------------> OPEN ---------------------> ASSIGNED -----------> RECTIFIED ---------------------------------------> gone (CLOSED is told)
 *                   |                          ^   |                  |          and only when the alarm is normal again
 *                   '---- rectify -------------|---|----------------->|
 *                                              '---'  (anew)          '-- alarm comes again --> OPEN
 *
 * One problem an alarm: while it is open, each further activation is counted in it. An alarm opens one when its class is fire,
 * electrical or compliance and its priority is medium or high. Its id is that of the occurrence that opened it. At most PROBLEMS_MAX:
 * past that none is opened, which is counted and said. */
#ifndef YANHUO_PROBLEM_H
#define YANHUO_PROBLEM_H

#include "gateway/core/entry.h"

enum problem_state { /* stored: never renumbered */
    PROBLEM_NONE = 0,
    PROBLEM_OPEN = 1,
    PROBLEM_ASSIGNED = 2,
    PROBLEM_RECTIFIED = 3,
    PROBLEM_CLOSED = 4,
};

#define PROBLEM_WHAT_SIZE 96
#define PROBLEM_RECORD_SIZE 384

struct problem {
    enum problem_state state;
    char device[NAME_SIZE], alarm[NAME_SIZE]; /* by name: it outlives a change of the configuration */
    uint64_t start, seq;                      /* its id */
    int64_t opened_ms;
    uint32_t occurrences;
    char to[48], rectified_by[48], what[PROBLEM_WHAT_SIZE];
};

struct problems {
    struct problem items[PROBLEMS_MAX];
    uint64_t not_opened;
};

const char *problem_state_name(enum problem_state state);
bool problem_wanted(const struct config_alarm *rule);
/* The open problem of this alarm, or PROBLEMS_MAX. */
unsigned problems_find(const struct problems *problems, const char *device, const char *alarm);
unsigned problems_find_id(const struct problems *problems, uint64_t start, uint64_t seq);
/* Opens one, or counts the occurrence in the one that is open. *ret_opened: a person has to be told. PROBLEMS_MAX: there is no room. */
unsigned problems_on_alarm(struct problems *problems, const struct now *now, const char *device, const char *alarm, uint64_t start, uint64_t seq,
                           bool *ret_opened);
/* By a person; false with the reason. */
bool problem_assign(struct problem *problem, const char *to, const char **ret_why);
bool problem_rectify(struct problem *problem, const char *by, const char *what, const char **ret_why);
bool problem_close(struct problem *problem, const char *by, bool alarm_normal, const char **ret_why);

size_t problem_record_put(const struct problem *problem, uint8_t ret_bytes[PROBLEM_RECORD_SIZE]); /* 0 when there is none */
bool problem_record_get(struct problem *problem, const uint8_t *bytes, size_t size);

#endif
