/* SPDX-License-Identifier: Apache-2.0 */
/* Which unit id to ask next, at which settings and with which timeout, until a line is known. Pure: no clock, no I/O, no
 * allocation. The driver asks, tells what came of it, and asks for the next. The order and the timeout are told in sweep.c. */
#ifndef YANHUO_SWEEP_H
#define YANHUO_SWEEP_H

#include "sensors/bus.h"

#define SWEEP_SETTINGS_MAX 64
#define SWEEP_UNITS 256

struct sweep_setting {
    uint32_t baud; /* 0: a network */
    enum bus_parity parity;
    uint8_t stop_bits;
};

struct sweep_ask {
    uint8_t setting; /* index */
    uint8_t unit_id;
    enum frame_function function; /* one register at address 0 is read */
    int64_t timeout_us;
    bool again; /* it was asked before, but something disturbed it */
};

enum sweep_result {
    SWEEP_SILENT,
    SWEEP_FOUND,   /* an answer, maybe an exception */
    SWEEP_SEVERAL, /* something answers here, never intact: two devices with one address, or a bad line */
    SWEEP_UNSURE,  /* it will be asked again */
};

struct sweep_timeout {
    int64_t floor_us, ceiling_us, now_us;
    int64_t slowest_us; /* turnaround seen; 0: none */
};

struct sweep {
    struct sweep_setting settings[SWEEP_SETTINGS_MAX];
    uint8_t settings_count;
    uint8_t unit_first, unit_last;
    struct sweep_timeout timeout;
    unsigned stage, setting, unit; /* where the walk stands */
    bool asked_new;                /* the ask under way moved the walk on */
    struct sweep_ask ask;
    uint8_t doubts[SWEEP_UNITS];                        /* at these settings: corrupt answers of this unit */
    bool again[SWEEP_UNITS];                            /* to be asked again before the walk goes on */
    bool asked_again[SWEEP_UNITS];                      /* that was done: once is enough */
    uint8_t known[SWEEP_SETTINGS_MAX][SWEEP_UNITS / 8]; /* bits: found or several */
    unsigned done, total;                               /* of the asks that move the walk on, for a progress bar */
    unsigned found, several;
};

/* `start_us`: the timeout while nothing has answered; 0 chooses 60 ms on a line, 300 ms on a network. */
void sweep_init(struct sweep *sweep, const struct sweep_setting *settings, uint8_t count, uint8_t unit_first, uint8_t unit_last, int64_t start_us);

/* False: the sweep is complete. */
bool sweep_next(struct sweep *sweep, struct sweep_ask *ret_ask);

/* What came of the last ask; `strays`: something was heard that nobody had asked for, most often a late answer. */
enum sweep_result sweep_note(struct sweep *sweep, enum bus_status status, int64_t turnaround_us, bool strays);

#endif
