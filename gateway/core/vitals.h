/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the parts of the gateway get on with their work: fine, late, stuck, and what is done about it. A part is whatever could hang
 * without the loop hanging: the thread of a serial line, the store's two threads, the MQTT pump, what a link owes, the control socket.
 * Pure; owned by the core. The drawing and the reasons stand at the top of vitals.c. */
#ifndef YANHUO_VITALS_H
#define YANHUO_VITALS_H

#include "base/arena.h"
#include "base/now.h"
#include "config/config.h"

enum vitals_kind {
    VITALS_LINE,    /* a serial line's thread */
    VITALS_STORE,   /* the store's writer */
    VITALS_BACKLOG, /* the store's query thread */
    VITALS_PUMP,    /* the MQTT pump, the caller of a library with one lock */
    VITALS_LINK,    /* an answer that the MQTT transport owes for one uplink */
    VITALS_CONTROL, /* the control socket */
};
#define VITALS_KINDS_COUNT 6

enum vitals_state { VITALS_FINE, VITALS_LATE, VITALS_STUCK, VITALS_TRIAL };
const char *vitals_state_name(enum vitals_state state);

enum vitals_act { VITALS_NOTHING, VITALS_REPLACE, VITALS_RESTART };

struct vitals_bounds { /* of one kind; microseconds without progress */
    int64_t late_us;
    int64_t stuck_us;
    int64_t proof_us;   /* fine for so long after it was stuck, and it is believed */
    int64_t restart_us; /* PUMP: stuck for so long */
};
extern const struct vitals_bounds vitals_bounds_usual[VITALS_KINDS_COUNT];

#define VITALS_QUICK 2                   /* replacements at once; the second only if the first did not help */
#define VITALS_AGAIN_US 3600000000       /* after these: one an hour, because each may cost a thread that never ends */
#define VITALS_RESTART_PAUSE_US 3600000000 /* after a restart for a part: not for the same part again, or the other lines would pay for it */
#define VITALS_VOLATILE_US 1800000000    /* PUMP: so long a restart is put off that would lose what no disk holds */
#define VITALS_TOLD_US 60000000          /* a part that is late now and then is told so at most each minute; all are counted */
#define VITALS_PARTS_MAX (SERIAL_BUSES_MAX + UPLINKS_MAX + 4)

struct vitals_part {
    enum vitals_kind kind;
    uint16_t index; /* LINE: bus; LINK: uplink */
    bool fire;      /* LINE: it has fire points */
    char name[NAME_SIZE]; /* of its alarm, "bus-shed" */
    enum vitals_state state;
    int64_t since_us;  /* of its last progress before it was late */
    int64_t proof_us;  /* TRIAL: believed from then on */
    int64_t fine_us;   /* FINE: since */
    int64_t again_us;  /* STUCK: the next replacement not before */
    int64_t restart_from_us; /* no restart for it before */
    uint8_t quick;     /* replacements since it was last fine for an hour */
    bool told_late;
    int64_t tell_us; /* late is told not before */
    uint32_t late_count, stuck_count, replaced_count;
};

/* Every part that a configuration has; at most VITALS_PARTS_MAX. */
uint16_t vitals_parts(const struct config *config, struct vitals_part *ret_parts);

struct vitals_around { /* what a restart depends on */
    bool may_restart;  /* somebody would start the process again */
    bool is_volatile;  /* what is undelivered is in memory only */
};

/* Once a second: `busy_us` is how long the part has made no progress, 0 when it waits for work. */
enum vitals_act vitals_look(struct vitals_part *part, const struct vitals_bounds *bounds, const struct now *now, int64_t busy_us,
                            const struct vitals_around *around);
/* Its alarm holds. */
bool vitals_alarm(const struct vitals_part *part);
/* The process before this one ended itself for this part. */
void vitals_restarted(struct vitals_part *part, const struct now *now);

#endif
