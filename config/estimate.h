/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration will cost before it runs: how full each line is, how soon a fire point is seen, how many megabytes a
 * month each uplink carries. Pure. The figures are estimates with their assumptions named in estimate.c (load, traffic),
 * estimate_latency.c and estimate_action.c. */
#ifndef YANHUO_ESTIMATE_H
#define YANHUO_ESTIMATE_H

#include "config/config.h"
#include "sensors/plan.h"

struct estimate_bus {
    bool line; /* characters take time on it; a network endpoint has no line time, and only the counts below are meant */
    uint16_t devices, requests;
    uint32_t points; /* derived ones cost no line time and are not counted */
    double load, fire_load;  /* share of the line's time: 1 is full; of all requests, of those with fire points */
    int64_t round_us;        /* every request once, one after the other */
    int64_t longest_us;      /* the longest single one that is not fire */
    uint32_t fire_period_ms; /* shortest of a fire point; 0: there is none */
    int64_t fire_round_us;   /* every fire request once, one after the other */
    uint16_t failed_device;  /* ERR_RANGE: this one needs too many requests */
};

/* `scratch` holds the plans meanwhile. ERR_RANGE when a device needs more requests than there may be. */
NODISCARD enum err estimate_bus(const struct config *config, uint16_t bus, struct arena *scratch, struct estimate_bus *ret_estimate);

/* Can every fire point be polled with its period, whatever else is due? */
bool estimate_keeps_fire(const struct estimate_bus *estimate);
/* What would keep them on a bus that does not; each 0 when it would not. Computed, with everything else as it is. */
struct estimate_advice {
    uint32_t baud;      /* the lowest usual one */
    uint32_t period_ms; /* for fire points polled more often than that */
    unsigned lines;     /* with the devices spread evenly */
};
void estimate_advise(const struct config *config, uint16_t bus, struct arena *scratch, struct estimate_advice *ret_advice);

#define ESTIMATE_BAUDS 7
extern const uint32_t estimate_bauds[ESTIMATE_BAUDS]; /* the usual ones, rising */

/* Newly silent devices for which the latencies are told: in the period in question they cost the line a timeout each. Any
 * number that is known dead costs nothing but what `blocked` in estimate_latency.c says. */
#define ESTIMATE_CASES 3
extern const unsigned estimate_silent[ESTIMATE_CASES]; /* 0, 1, 3 */

/* One fire request, and the time from a change that its device has seen to the end of the reply that tells it. */
struct estimate_fire {
    uint16_t device;
    const struct plan_request *request;
    int64_t seen_us[ESTIMATE_CASES];
};
NODISCARD enum err estimate_fires(const struct config *config, uint16_t bus, struct arena *scratch, struct estimate_fire **ret_fires,
                                  uint16_t *ret_count);
/* From the change to the end of the action's write, echo included. */
NODISCARD enum err estimate_action(const struct config *config, uint16_t action, struct arena *scratch, int64_t ret_written_us[ESTIMATE_CASES]);

/* From the last byte of the reply that causes an action (its alarm's delay apart) to its write: what `check` holds to ACTION_WRITE_MAX_US. */
struct estimate_prompt {
    int64_t begins_us[ESTIMATE_CASES]; /* the write's first byte at worst, behind the writes of the same alarm that stand before it */
    int64_t frame_us;                  /* its own time on the wire */
    int64_t alone_us;                  /* its last bit with nobody newly silent and no other write before it */
    uint16_t before;                   /* writes of the same alarm on the same bus that stand before it */
    uint16_t device;                   /* whose read may keep it waiting longest; CONFIG_NONE: none does */
    unsigned reply_bytes;              /* data of that read */
};
NODISCARD enum err estimate_prompt(const struct config *config, uint16_t action, struct arena *scratch, struct estimate_prompt *ret_prompt);
/* What would keep the bound; each 0 when it would not. */
struct estimate_prompt_advice {
    uint32_t baud;      /* the lowest usual one */
    unsigned registers; /* the most that a point on the line may have */
};
void estimate_prompt_advise(const struct config *config, uint16_t action, struct arena *scratch, struct estimate_prompt_advice *ret_advice);

struct estimate_uplink {
    double messages_per_hour;
    double day_backlog_h; /* how long the readings of a day without the link take at backlog_rate; 0: no limit, or no readings */
    double readings_mb, other_mb; /* a month of 30 days, headers and acknowledgements included; MB of 10^6 bytes */
};

NODISCARD enum err estimate_uplink(const struct config *config, uint16_t uplink, struct arena *scratch, struct estimate_uplink *ret_estimate);

/* What the store writes and keeps while nobody takes what is delivered: the worst case, and the one that needs the room. */
struct estimate_store {
    double readings_per_s;
    double device_bytes_reading, device_mb_day; /* the file system's own journal included */
    double card_years;                          /* 0: no card is named */
    uint64_t history_bytes, rollup_bytes;       /* at their full age, or their quota */
    uint64_t needed_bytes;                      /* with the spool, the events, the logs and the ballast */
};
void estimate_store(const struct config *config, struct estimate_store *ret_estimate);

#endif
