/* SPDX-License-Identifier: Apache-2.0 */
/* Does a profile fit what answers at an address? Its own reads are tried on the device, and what comes back must be what the
 * profile says: no exception, nothing outside a range. Pure; memory from the arena when it begins only. */
#ifndef YANHUO_FIT_H
#define YANHUO_FIT_H

#include "base/text.h"
#include "config/profile.h"
#include "sensors/plan.h"

#define FIT_REQUESTS_MAX 4 /* reads that are tried; a profile that fits four fits */
#define FIT_SHOWN_MAX 3    /* values that are shown to a person */

enum fit_verdict {
    FIT_NO,     /* an exception, silence, or a value that cannot be */
    FIT_PARTLY, /* everything answers, but no value is there: probes missing, or another device */
    FIT_YES,
};

struct fit {
    const struct profile *profile;
    struct device_spec spec;
    struct plan plan;
    unsigned answered, refused;  /* reads */
    unsigned good, empty, wrong; /* points: plausible, the device's own "no value", out of range or malformed */
    unsigned telling;            /* good ones that a device of another kind would hardly give */
    int8_t address;              /* its address register holds the unit id: 1, something else: -1, not known: 0 */
    unsigned shown_count;
    struct reading shown[FIT_SHOWN_MAX]; /* the first good values */
};

void fit_init(struct fit *fit, const struct profile *profile, struct arena *arena);

/* The reads to try: 0 .. count - 1. Merged as tightly as the profile allows. */
unsigned fit_requests(const struct fit *fit);
const struct plan_request *fit_request(const struct fit *fit, unsigned index);
void fit_note(struct fit *fit, unsigned index, const struct bus_answer *answer);

/* What its address register, read as a holding register, holds. Only profiles that have one. */
void fit_note_address(struct fit *fit, uint16_t raw, uint8_t unit_id);

enum fit_verdict fit_verdict(const struct fit *fit);
/* How much speaks for it, to order those that fit. Below FIT_WEIGHT_SURE many other devices would fit as well. */
int fit_weight(const struct fit *fit);
#define FIT_WEIGHT_SURE 6

/* "humidity 65.8 %, temperature -10.1 °C" */
void fit_add_values(const struct fit *fit, struct text *text);
void fit_add_value(const struct point *point, const struct reading *reading, struct text *text);

#endif
