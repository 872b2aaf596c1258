/* SPDX-License-Identifier: Apache-2.0 */
/*        late_us                 stuck_us                       progress, or replaced
 *   FINE ---------> LATE ------------------------> STUCK --------------------------------> TRIAL
 *    ^  \<-progress--'                              ^ \                                     |  |
 *    |                                              |  '--> restart_us, no remedy: RESTART  |  |
 *    |                                              '--------------- stuck_us --------------'  |
 *    '--------------------------- no longer late for proof_us --------------------------------'
 *
 * LATE is traced and counted, STUCK and TRIAL are the part's alarm. What is done about a part that is stuck:
 *   LINE     its thread is left to itself and a new one opens the port: at once, once more when the new one is stuck too, then
 *            each hour. If the line has fire points and both did not help, the process is restarted: what is broken then is below
 *            the threads, and a line that watches for fire must not be given up
 *   STORE    memory takes its place: REPLACE means that the store is volatile until its writer moves. A second writer would only
 *            hang on the same disk, and share its locks with the first
 *   BACKLOG, CONTROL   the alarm alone: neither an alarm nor an action waits for them
 *   LINK     the alarm alone; the transport itself gives up connections that do not move, and what is left is the pump's doing
 *   PUMP     the library has one lock for all its clients, so there is no second pump beside a stuck one. Nothing can be delivered
 *            then, by any uplink, so after restart_us the process is restarted in order: blind for some seconds, with everything that
 *            counts on the disk, is less than mute for hours. While the store is volatile it waits longer, because then it costs
 *            what was not delivered
 * No restart when nobody would start the process again, nor twice in an hour for the same part: the other lines would pay.
 *
 * Why these bounds: a line's transaction ends after its timeout (10 s at most) and an idle line shows progress each second, so twice the
 * worst is late and three times is stuck. A worn card stalls for seconds, not for a minute. The pump waits at most 10 s for the library to
 * destroy a client and 25 s for a connection; a link is answered within 75 s, twice that when it falls back to an older version. */
#include "gateway/core/vitals.h"

#include <stdio.h>

#define S INT64_C(1000000)

const struct vitals_bounds vitals_bounds_usual[VITALS_KINDS_COUNT] = {
    [VITALS_LINE] = {.late_us = 20 * S, .stuck_us = 30 * S, .proof_us = 21 * S},
    [VITALS_STORE] = {.late_us = 10 * S, .stuck_us = 60 * S, .proof_us = 10 * S},
    [VITALS_BACKLOG] = {.late_us = 30 * S, .stuck_us = 120 * S, .proof_us = 10 * S},
    [VITALS_PUMP] = {.late_us = 30 * S, .stuck_us = 60 * S, .proof_us = 10 * S, .restart_us = 300 * S},
    [VITALS_LINK] = {.late_us = 150 * S, .stuck_us = 180 * S, .proof_us = 10 * S},
    [VITALS_CONTROL] = {.late_us = 10 * S, .stuck_us = 60 * S, .proof_us = 10 * S},
};

const char *vitals_state_name(enum vitals_state state) {
    static const char *const names[] = {"fine", "late", "stuck", "trial"};
    return names[state];
}

/* ---- the parts ---- */

static void part_add(struct vitals_part *parts, uint16_t *count, enum vitals_kind kind, const char *prefix, const char *name, uint16_t index) {
    struct vitals_part *part = &parts[(*count)++];
    *part = (struct vitals_part){.kind = kind, .index = index};
    int length = snprintf(part->name, sizeof(part->name), "%s%s", prefix, name);
    if (length >= (int)sizeof(part->name)) /* two long names must not become one */
        (void)snprintf(part->name, sizeof(part->name), "%s%u", prefix, index);
}

uint16_t vitals_parts(const struct config *config, struct vitals_part *ret_parts) {
    uint16_t count = 0, lines = 0;
    for (uint16_t i = 0; i < config->buses_count && lines < SERIAL_BUSES_MAX; i++) {
        bool used = false, fire = false;
        for (uint16_t k = 0; k < config->devices_count; k++) {
            const struct device_spec *spec = &config->devices[k].spec;
            used = used || config->devices[k].bus == i;
            for (uint16_t p = 0; config->devices[k].bus == i && p < spec->points_count; p++)
                fire = fire || spec->points[p].class == CLASS_FIRE;
        }
        if (config->buses[i].kind != BUS_SERIAL || !used)
            continue;
        part_add(ret_parts, &count, VITALS_LINE, "bus-", config->buses[i].name, i);
        ret_parts[count - 1].fire = fire;
        lines++;
    }
    part_add(ret_parts, &count, VITALS_STORE, "", "store", 0);
    part_add(ret_parts, &count, VITALS_BACKLOG, "", "backlog", 0);
    part_add(ret_parts, &count, VITALS_CONTROL, "", "control", 0);
    if (config->uplinks_count)
        part_add(ret_parts, &count, VITALS_PUMP, "", "mqtt", 0);
    for (uint16_t i = 0; i < config->uplinks_count; i++)
        part_add(ret_parts, &count, VITALS_LINK, "uplink-", config->uplinks[i].name, i);
    return count;
}

/* ---- the machine ---- */

static void on_fine(struct vitals_part *part, const struct now *now) {
    part->state = VITALS_FINE;
    part->fine_us = now->mono_us;
}

static enum vitals_act replace(struct vitals_part *part, const struct vitals_bounds *bounds, const struct now *now) {
    part->quick += part->quick < VITALS_QUICK;
    part->again_us = now->mono_us + (part->quick < VITALS_QUICK ? 0 : VITALS_AGAIN_US);
    part->replaced_count++;
    part->state = VITALS_TRIAL;
    part->proof_us = now->mono_us + bounds->proof_us;
    return VITALS_REPLACE;
}

/* A remedy for a part that is stuck, if there is one now. */
static enum vitals_act remedy(struct vitals_part *part, const struct vitals_bounds *bounds, const struct now *now, int64_t busy_us,
                              const struct vitals_around *around) {
    bool may_restart = around->may_restart && now->mono_us >= part->restart_from_us;
    bool restart = false;
    if (part->kind == VITALS_LINE && part->quick < VITALS_QUICK)
        return replace(part, bounds, now);
    if (part->kind == VITALS_LINE)
        restart = part->fire;
    else if (part->kind == VITALS_PUMP)
        restart = busy_us >= bounds->restart_us && (!around->is_volatile || busy_us >= VITALS_VOLATILE_US);
    if (restart && may_restart) {
        vitals_restarted(part, now); /* asked for once */
        return VITALS_RESTART;
    }
    return part->kind == VITALS_LINE && now->mono_us >= part->again_us ? replace(part, bounds, now) : VITALS_NOTHING;
}

static enum vitals_act on_stuck(struct vitals_part *part, const struct vitals_bounds *bounds, const struct now *now, int64_t busy_us,
                                const struct vitals_around *around) {
    if (part->state != VITALS_STUCK && part->state != VITALS_TRIAL)
        part->since_us = now->mono_us - busy_us;
    bool entered = part->state != VITALS_STUCK;
    part->stuck_count += entered;
    part->state = VITALS_STUCK;
    if (part->kind == VITALS_STORE && entered) {
        part->replaced_count++;
        return VITALS_REPLACE;
    }
    return remedy(part, bounds, now, busy_us, around);
}

enum vitals_act vitals_look(struct vitals_part *part, const struct vitals_bounds *bounds, const struct now *now, int64_t busy_us,
                            const struct vitals_around *around) {
    if (busy_us >= bounds->stuck_us)
        return on_stuck(part, bounds, now, busy_us, around);
    bool late = busy_us >= bounds->late_us;
    switch (part->state) {
    case VITALS_FINE:
        if (now->mono_us - part->fine_us >= VITALS_AGAIN_US)
            part->quick = 0;
        if (!late)
            break;
        part->state = VITALS_LATE;
        part->since_us = now->mono_us - busy_us;
        part->late_count++;
        break;
    case VITALS_LATE:
        if (!late)
            on_fine(part, now);
        break;
    case VITALS_STUCK:
        part->state = VITALS_TRIAL;
        part->proof_us = now->mono_us + bounds->proof_us;
        break;
    case VITALS_TRIAL:
        if (late)
            part->proof_us = now->mono_us + bounds->proof_us;
        else if (now->mono_us >= part->proof_us)
            on_fine(part, now);
        break;
    }
    return VITALS_NOTHING;
}

bool vitals_alarm(const struct vitals_part *part) {
    return part->state == VITALS_STUCK || part->state == VITALS_TRIAL;
}

void vitals_restarted(struct vitals_part *part, const struct now *now) {
    part->restart_from_us = now->mono_us + VITALS_RESTART_PAUSE_US;
}
