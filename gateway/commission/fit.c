/* SPDX-License-Identifier: Apache-2.0 */
/* What speaks for a profile:
 *
 *   +8   its address register holds the unit id (-8: something else)      hardly an accident
 *   +3   a floating value that is in its range and not 0                  a random pattern is a sensible float once in fifty times
 *   +2   another value in a range and not 0
 *   +1   a read that was answered
 *
 * A zero says nothing: most devices answer 0 where nothing is. */
#include "gateway/commission/fit.h"

#include <string.h>

#include "base/check.h"
#include "sensors/decode.h"

#define EVERY_MS 1000 /* of all points alike, so that they merge */
#define TINY 1e-9

void fit_init(struct fit *fit, const struct profile *profile, struct arena *arena) {
    memset(fit, 0, sizeof(*fit));
    struct point *points = arena_take(arena, profile->points_count + 1u, sizeof(*points));
    for (uint16_t i = 0; i < profile->points_count; i++) {
        points[i] = profile->points[i];
        points[i].every_ms = EVERY_MS;
        points[i].class = CLASS_MAINTENANCE;
        points[i].feeds_action = false;
    }
    fit->profile = profile;
    fit->spec = (struct device_spec){
        .name = profile->name,
        .timeout_ms = profile->timeout_ms,
        .registers_max = profile->registers_max,
        .gaps_allowed = profile->gaps,
        .points_count = profile->points_count,
        .points = points,
    };
    if (plan_build(&fit->spec, NULL, arena, &fit->plan) != ERR_OK)
        fit->plan = (struct plan){0, NULL};
}

unsigned fit_requests(const struct fit *fit) {
    return fit->plan.count < FIT_REQUESTS_MAX ? fit->plan.count : FIT_REQUESTS_MAX;
}

const struct plan_request *fit_request(const struct fit *fit, unsigned index) {
    CHECK(index < fit_requests(fit));
    return &fit->plan.requests[index];
}

/* A float that is all but 0 is something else read as a float: inside every range, and no reading. */
static bool is_absurd(const struct point *point, const struct value *value) {
    double number;
    return (point->type == TYPE_F32 || point->type == TYPE_F64) && value_number(value, &number) && number != 0 && number > -TINY && number < TINY;
}

static void note_point(struct fit *fit, uint16_t index, const struct reading *reading) {
    const struct point *point = &fit->spec.points[index];
    double number;
    if (reading->quality == QUALITY_BAD) {
        if (reading->reason == REASON_ERROR_VALUE)
            fit->empty++;
        else
            fit->wrong++;
        return;
    }
    if (is_absurd(point, &reading->value)) {
        fit->wrong++;
        return;
    }
    fit->good++;
    if (value_number(&reading->value, &number) && number != 0 && point->has_range)
        fit->telling += point->type == TYPE_F32 || point->type == TYPE_F64 ? 3 : 2;
    if (fit->shown_count < FIT_SHOWN_MAX) {
        fit->shown[fit->shown_count] = *reading;
        fit->shown[fit->shown_count++].point = index;
    }
}

void fit_note(struct fit *fit, unsigned index, const struct bus_answer *answer) {
    const struct plan_request *asked = fit_request(fit, index);
    struct pdu request;
    uint8_t exception;
    const uint8_t *data;
    size_t size;
    frame_read(&request, asked->function, asked->address, asked->count);
    if (answer->status != BUS_ANSWERED || frame_match(&request, answer->pdu.bytes, answer->pdu.size, &exception, &data, &size) != FRAME_GOOD) {
        fit->refused++;
        return;
    }
    fit->answered++;
    for (uint16_t i = 0; i < asked->points_count; i++) {
        struct reading reading;
        decode_point(&fit->spec.points[asked->points[i]], data, size, asked->address, asked->count, &reading);
        note_point(fit, asked->points[i], &reading);
    }
}

void fit_note_address(struct fit *fit, uint16_t raw, uint8_t unit_id) {
    fit->address = raw == unit_id ? 1 : -1;
}

enum fit_verdict fit_verdict(const struct fit *fit) {
    if (fit->answered == 0 || fit->refused > 0 || fit->wrong > 0 || fit->address < 0)
        return FIT_NO;
    return fit->good > 0 ? FIT_YES : FIT_PARTLY;
}

int fit_weight(const struct fit *fit) {
    return fit->address * 8 + (int)fit->telling + (int)fit->answered;
}

void fit_add_value(const struct point *point, const struct reading *reading, struct text *text) {
    const struct value *value = &reading->value;
    if (reading->quality == QUALITY_BAD) {
        text_add(text, quality_reason_name((enum quality_reason)reading->reason));
        return;
    }
    for (unsigned i = 0; value->kind == VALUE_INTEGER && i < point->labels_count; i++)
        if (point->labels[i].value == value->integer) {
            text_add(text, point->labels[i].name);
            return;
        }
    if (value->kind == VALUE_NUMBER)
        text_add_double(text, value->number);
    else if (value->kind == VALUE_INTEGER)
        text_add_s64(text, value->integer);
    else if (value->kind == VALUE_UNSIGNED)
        text_add_u64(text, value->whole);
    else
        text_add(text, value->kind == VALUE_TEXT ? value->text : "none");
    if (point->unit && point->unit[0]) {
        text_add_char(text, ' ');
        text_add(text, point->unit);
    }
}

void fit_add_values(const struct fit *fit, struct text *text) {
    for (unsigned i = 0; i < fit->shown_count; i++) {
        const struct point *point = &fit->spec.points[fit->shown[i].point];
        text_add(text, i ? ", " : "");
        text_add(text, point->name);
        text_add_char(text, ' ');
        fit_add_value(point, &fit->shown[i], text);
    }
}
