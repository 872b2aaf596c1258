/* SPDX-License-Identifier: Apache-2.0 */
/* One derived point: computed from the newest readings of its inputs whenever one of them was polled. The table of kinds, their
 * formulas with sources, and the guarantees stand at the top of derive.c. Pure; owned by the core.
 * A derived value has the worst quality of its inputs; what a window has not seen enough of yet is uncertain. */
#ifndef YANHUO_DERIVE_H
#define YANHUO_DERIVE_H

#include "base/now.h"
#include "config/config.h"

#define DERIVED_RECORD_SIZE 32

struct derived_slot { /* of a window */
    int64_t number; /* slot number since the start of monotonic time; which part of the window this is */
    double value;   /* MEAN: sum of its samples; RATE: its newest sample */
    int64_t at_us;  /* of its newest sample */
    uint32_t count; /* of its samples; 0: it is empty and its number says nothing */
};

struct derived {
    const struct config_derived *rule;
    double state;      /* ON_OFF: last side; RUN_HOURS: hours */
    struct value last; /* UNCHANGED: the newest good value */
    int64_t since_ms;  /* DAYS_SINCE: wall time of the last maintenance, or of the first start; 0 not known yet */
    int64_t at_us;     /* monotonic time of the newest good input; NOW_NEVER before the first */
    int64_t from_us;   /* UNCHANGED: its minutes count from here; RUN_HOURS: nothing before this counts, the last maintenance */
    bool running;      /* RUN_HOURS: the newest good input was not 0 */
    bool gap;          /* an input that was not good came after the newest good one */
    struct derived_slot *slots; /* MEAN, RATE: DERIVED_SLOTS; NULL otherwise */
};

/* `slots`: DERIVED_SLOTS of them for a kind that derived_windowed, NULL otherwise. */
bool derived_windowed(enum derive_kind kind);
void derived_init(struct derived *derived, const struct config_derived *rule, struct derived_slot *slots);

/* One of the inputs has just been polled at `now`; `inputs` are the newest readings of all, in the rule's order, NULL for one that
 * was never polled. Each call is one sample, so it is not called for a poll that carried none of the inputs. */
void derived_on_inputs(struct derived *derived, const struct now *now, const struct reading *const *inputs, struct reading *ret_reading);

/* A maintenance was done: run hours and days begin anew. */
void derived_on_maintenance(struct derived *derived, const struct now *now);

/* What survives a restart: run hours, and when the last maintenance was. A record that is damaged, or of another kind, is refused and
 * changes nothing. */
bool derived_durable(const struct derived *derived);
size_t derived_record_put(const struct derived *derived, uint8_t ret_bytes[DERIVED_RECORD_SIZE]);
bool derived_record_get(struct derived *derived, const uint8_t *bytes, size_t size);

const char *derive_kind_name(enum derive_kind kind); /* as the configuration writes it: "run_hours" */

#endif
