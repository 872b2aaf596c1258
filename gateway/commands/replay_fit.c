/* SPDX-License-Identifier: Apache-2.0 */
/* As long as the replayed engine wants what the recorded one wanted, every recorded event is an answer to it and passes as it is. Once
 * it wants something else (a repaired program, an anchor, lost steps) an answer may have nothing it answers. Then:
 *
 *   STORED   of a run under way is taken for that run; without one it has no place. (Never otherwise: the engine trusts its store.)
 *   ROWS     of another question than the one asked become "nothing there" for the one asked
 *   ACKED    of a free slot is taken for the oldest message in flight
 *   WRITTEN  of another id is taken for the oldest write to that point
 *   LINK_UP  comes when the engine connects and the recorded link stood then; LINK_DOWN as recorded, and when it disconnects
 *
 * So a replay goes on sensibly, every recorded reading, command and outage at its time, and nobody waits for ever. */
#include <string.h>

#include "gateway/commands/replay.h"

static void wants_one(struct replay_fit *fit, const struct effect *effect) {
    struct replay_uplink *uplink;
    switch (effect->kind) {
    case EFFECT_STORE:
        fit->storing[effect->store.lane] = true;
        fit->storing_seq[effect->store.lane] = effect->store.last_seq;
        return;
    case EFFECT_QUERY:
        uplink = &fit->uplinks[effect->query.uplink];
        uplink->asked = true;
        uplink->lane = effect->query.lane;
        uplink->after_seq = effect->query.after_seq;
        uplink->through_seq = effect->query.through_seq;
        return;
    case EFFECT_CONNECT:
        fit->uplinks[effect->link.uplink].connecting = true;
        return;
    case EFFECT_DISCONNECT:
        fit->uplinks[effect->link.uplink].disconnecting = true;
        return;
    case EFFECT_SEND:
        uplink = &fit->uplinks[effect->send.uplink];
        uplink->in_flight[effect->send.slot] = true;
        uplink->sent[effect->send.slot] = ++uplink->sent_next;
        return;
    case EFFECT_WRITE:
        for (unsigned i = 0; i < REPLAY_WRITES; i++)
            if (!fit->writes[i].id) {
                fit->writes[i] = effect->write.command;
                return;
            }
        return;
    default:
        return;
    }
}

void replay_fit_wants(struct replay_fit *fit, const struct effects *effects) {
    for (unsigned i = 0; i < effects->count; i++)
        wants_one(fit, &effects->items[i]);
}

/* ---- one kind each; false: no place ---- */

static bool fit_stored(struct replay_fit *fit, struct event *event) {
    enum lane lane = event->stored.lane;
    if (!fit->storing[lane])
        return false;
    fit->changed += event->stored.last_seq != fit->storing_seq[lane];
    event->stored.last_seq = fit->storing_seq[lane];
    fit->storing[lane] = false;
    return true;
}

static bool fit_rows(struct replay_fit *fit, struct event *event, bool exact) {
    struct replay_uplink *uplink = &fit->uplinks[event->rows.uplink];
    bool asked = uplink->asked, same = event->rows.lane == uplink->lane && event->rows.after_seq == uplink->after_seq;
    uplink->asked = false;
    if (exact || (asked && same))
        return true;
    if (!asked)
        return false;
    fit->changed++;
    event->rows.lane = uplink->lane;
    event->rows.after_seq = uplink->after_seq;
    event->rows.through_seq = uplink->through_seq;
    event->rows.size = 0;
    return true;
}

static bool fit_acked(struct replay_fit *fit, struct event *event, bool exact) {
    struct replay_uplink *uplink = &fit->uplinks[event->acked.uplink];
    unsigned slot = event->acked.slot;
    if (!uplink->in_flight[slot] && !exact) {
        unsigned oldest = WINDOW_MAX;
        for (unsigned i = 0; i < WINDOW_MAX; i++)
            if (uplink->in_flight[i] && (oldest == WINDOW_MAX || uplink->sent[i] < uplink->sent[oldest]))
                oldest = i;
        if (oldest == WINDOW_MAX)
            return false;
        fit->changed++;
        event->acked.slot = (uint16_t)oldest;
        slot = oldest;
    }
    uplink->in_flight[slot] = false;
    return true;
}

static bool fit_written(struct replay_fit *fit, struct event *event, struct event_room *room, bool exact) {
    struct write_command *same = NULL, *id = NULL;
    for (unsigned i = REPLAY_WRITES; i > 0; i--) {
        struct write_command *write = &fit->writes[i - 1];
        if (write->id && write->device == room->written.device && write->point == room->written.point && (!same || write->id < same->id))
            same = write;
        if (write->id && write->id == room->written.id)
            id = write;
    }
    if (!id && !exact) {
        if (!same)
            return false;
        fit->changed++;
        room->written.id = same->id;
        id = same;
    }
    if (id)
        id->id = 0;
    event->written = &room->written;
    return true;
}

static void link_down(struct replay_uplink *uplink) {
    memset(uplink->in_flight, 0, sizeof(uplink->in_flight));
    uplink->connecting = uplink->disconnecting = false;
}

static bool fit_link_up(struct replay_fit *fit, struct event *event, bool exact) {
    struct replay_uplink *uplink = &fit->uplinks[event->link_up.uplink];
    bool place = exact || uplink->connecting;
    uplink->world_up = true;
    uplink->up = *event;
    uplink->connecting = uplink->connecting && !place;
    return place;
}

bool replay_fit_event(struct replay_fit *fit, struct event *event, struct event_room *room, bool exact) {
    bool place = event_fits(fit->config, event);
    if (place && event->kind == EVENT_STORED) {
        place = fit_stored(fit, event);
    } else if (place && event->kind == EVENT_ROWS) {
        place = fit_rows(fit, event, exact);
    } else if (place && event->kind == EVENT_ACKED) {
        place = fit_acked(fit, event, exact);
    } else if (place && event->kind == EVENT_WRITTEN) {
        place = fit_written(fit, event, room, exact);
    } else if (place && event->kind == EVENT_LINK_UP) {
        place = fit_link_up(fit, event, exact);
    } else if (place && event->kind == EVENT_LINK_DOWN) {
        fit->uplinks[event->link_down.uplink].world_up = false;
        link_down(&fit->uplinks[event->link_down.uplink]);
    }
    fit->skipped += !place;
    return place;
}

bool replay_fit_owed(struct replay_fit *fit, struct event *ret_event) {
    for (uint16_t i = 0; i < fit->config->uplinks_count; i++) {
        struct replay_uplink *uplink = &fit->uplinks[i];
        if (uplink->disconnecting) {
            link_down(uplink);
            *ret_event = (struct event){.kind = EVENT_LINK_DOWN, .link_down = {.uplink = i, .reason = LINK_CLOSED, .text = ""}};
            return true;
        }
        if (uplink->connecting && uplink->world_up) {
            uplink->connecting = false;
            *ret_event = uplink->up;
            return true;
        }
    }
    return false;
}
