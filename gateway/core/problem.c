/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/problem.h"

#include <string.h>

#include "base/check.h"
#include "base/text.h"

const char *problem_state_name(enum problem_state state) {
    static const char *const names[] = {"none", "open", "assigned", "rectified", "closed"};
    return (unsigned)state < ARRAY_COUNT(names) ? names[state] : "unknown";
}

bool problem_wanted(const struct config_alarm *rule) {
    return rule->class <= CLASS_COMPLIANCE && rule->priority >= PRIORITY_MEDIUM;
}

unsigned problems_find(const struct problems *problems, const char *device, const char *alarm) {
    for (unsigned i = 0; i < PROBLEMS_MAX; i++)
        if (problems->items[i].state != PROBLEM_NONE && strcmp(problems->items[i].device, device) == 0 && strcmp(problems->items[i].alarm, alarm) == 0)
            return i;
    return PROBLEMS_MAX;
}

unsigned problems_find_id(const struct problems *problems, uint64_t start, uint64_t seq) {
    for (unsigned i = 0; i < PROBLEMS_MAX; i++)
        if (problems->items[i].state != PROBLEM_NONE && problems->items[i].start == start && problems->items[i].seq == seq)
            return i;
    return PROBLEMS_MAX;
}

unsigned problems_on_alarm(struct problems *problems, const struct now *now, const char *device, const char *alarm, uint64_t start, uint64_t seq,
                           bool *ret_opened) {
    unsigned at = problems_find(problems, device, alarm);
    *ret_opened = false;
    if (at < PROBLEMS_MAX) {
        struct problem *problem = &problems->items[at];
        problem->occurrences++;
        *ret_opened = problem->state == PROBLEM_RECTIFIED; /* it was not rectified, then */
        if (*ret_opened)
            problem->state = PROBLEM_OPEN;
        return at;
    }
    for (at = 0; at < PROBLEMS_MAX && problems->items[at].state != PROBLEM_NONE;)
        at++;
    if (at == PROBLEMS_MAX) {
        problems->not_opened++;
        return at;
    }
    struct problem *problem = &problems->items[at];
    *problem = (struct problem){.state = PROBLEM_OPEN, .start = start, .seq = seq, .opened_ms = now->wall_ms, .occurrences = 1};
    (void)text_copy(problem->device, sizeof(problem->device), device);
    (void)text_copy(problem->alarm, sizeof(problem->alarm), alarm);
    *ret_opened = true;
    return at;
}

bool problem_assign(struct problem *problem, const char *to, const char **ret_why) {
    if (problem->state == PROBLEM_RECTIFIED) {
        *ret_why = "it is rectified already and waits to be closed";
        return false;
    }
    problem->state = PROBLEM_ASSIGNED;
    (void)text_copy(problem->to, sizeof(problem->to), to);
    return true;
}

bool problem_rectify(struct problem *problem, const char *by, const char *what, const char **ret_why) {
    if (problem->state == PROBLEM_RECTIFIED) {
        *ret_why = "it is rectified already and waits to be closed";
        return false;
    }
    problem->state = PROBLEM_RECTIFIED;
    (void)text_copy(problem->rectified_by, sizeof(problem->rectified_by), by);
    (void)text_copy(problem->what, sizeof(problem->what), what);
    return true;
}

bool problem_close(struct problem *problem, const char *by, bool alarm_normal, const char **ret_why) {
    char closer[sizeof(problem->rectified_by)]; /* compared as it was kept */
    (void)text_copy(closer, sizeof(closer), by);
    if (problem->state != PROBLEM_RECTIFIED)
        *ret_why = "it is not rectified yet";
    else if (strcmp(closer, problem->rectified_by) == 0)
        *ret_why = "who rectified it cannot close it: it needs a second person";
    else if (!alarm_normal)
        *ret_why = "its alarm is not normal yet";
    else
        *ret_why = NULL;
    if (*ret_why)
        return false;
    problem->state = PROBLEM_CLOSED;
    return true;
}

size_t problem_record_put(const struct problem *problem, uint8_t ret_bytes[PROBLEM_RECORD_SIZE]) {
    struct bytes_writer writer;
    if (problem->state == PROBLEM_NONE)
        return 0;
    bytes_writer_init(&writer, ret_bytes, PROBLEM_RECORD_SIZE);
    bytes_put_u8(&writer, (uint8_t)problem->state);
    bytes_put_text(&writer, problem->device);
    bytes_put_text(&writer, problem->alarm);
    bytes_put_u64(&writer, problem->start);
    bytes_put_varint(&writer, problem->seq);
    bytes_put_zigzag(&writer, problem->opened_ms);
    bytes_put_varint(&writer, problem->occurrences);
    bytes_put_text(&writer, problem->to);
    bytes_put_text(&writer, problem->rectified_by);
    bytes_put_text(&writer, problem->what);
    CHECK(!writer.full);
    return writer.length;
}

bool problem_record_get(struct problem *problem, const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    struct problem read = {0};
    bytes_reader_init(&reader, bytes, size);
    read.state = (enum problem_state)bytes_get_u8(&reader);
    bytes_get_text(&reader, read.device, sizeof(read.device));
    bytes_get_text(&reader, read.alarm, sizeof(read.alarm));
    read.start = bytes_get_u64(&reader);
    read.seq = bytes_get_varint(&reader);
    read.opened_ms = bytes_get_zigzag(&reader);
    read.occurrences = (uint32_t)bytes_get_varint(&reader);
    bytes_get_text(&reader, read.to, sizeof(read.to));
    bytes_get_text(&reader, read.rectified_by, sizeof(read.rectified_by));
    bytes_get_text(&reader, read.what, sizeof(read.what));
    if (reader.failed || read.state < PROBLEM_OPEN || read.state > PROBLEM_RECTIFIED || !read.seq)
        return false;
    *problem = read;
    return true;
}
