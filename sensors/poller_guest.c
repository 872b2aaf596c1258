/* SPDX-License-Identifier: Apache-2.0 */
/* A guest: one read that a person asked for, in spare time.
 *
 *   NOT HERE -- POLLER_GUEST --> WAITS -- the schedule chose it --> UNDER WAY -- ANSWERED --> NOT HERE
 *      a late answer to it would look like a fire point's: refused at once
 *      WAITS for POLLER_GUEST_WAIT_US: told that there was no time
 *      cut for a write (poller_write.c): WAITS again, since it came
 *      chosen, but its unit may still answer something earlier of the same shape (late.h): put back until that has ended
 *
 * Its answer is the guest's alone: it says nothing about a device, so that a wrong unit id or address cannot make one dead. But a
 * guest that was not answered opens a late window as any read does, for strangers (unit ids no device has) in a small table. */
#include <string.h>

#include "base/check.h"
#include "sensors/poller_state.h"

#define REQUEST_SIZE 8          /* of a read on a line */
#define TIMEOUT_MIN_US 20000    /* what is left for the device when the answer itself takes long */
#define STRANGER_PAUSE_US 50000 /* until the table is looked at again */

void poller_guest_init(struct poller *poller, struct arena *arena) {
    for (uint16_t d = 0; d < poller->devices_count; d++) {
        int64_t timeout_us = (int64_t)poller->devices[d].spec->timeout_ms * 1000;
        if (timeout_us > poller->guest_timeout_max_us)
            poller->guest_timeout_max_us = timeout_us;
    }
    if (!poller_has_late(poller))
        return;
    poller->strangers = arena_take(arena, POLLER_STRANGERS_MAX, sizeof(*poller->strangers));
    memset(poller->strangers, 0, POLLER_STRANGERS_MAX * sizeof(*poller->strangers));
}

static struct poller_device *device_of_unit(struct poller *poller, uint8_t unit_id) {
    for (uint16_t d = 0; d < poller->devices_count; d++)
        if (poller->devices[d].spec->unit_id == unit_id)
            return &poller->devices[d];
    return NULL;
}

static bool looks_fire(struct poller *poller, const struct guest_request *guest) {
    const struct poller_device *device = poller_has_late(poller) ? device_of_unit(poller, guest->unit_id) : NULL;
    for (uint32_t i = 0; device && i < device->jobs_count; i++) {
        const struct plan_request *request = poller->jobs[device->jobs_first + i].request;
        struct pdu pdu;
        if (!request->fire)
            continue;
        frame_read(&pdu, request->function, request->address, request->count);
        if (pdu.bytes[0] == guest->pdu.bytes[0] && frame_reply_size(&pdu) == frame_reply_size(&guest->pdu) &&
            memcmp(pdu.bytes, guest->pdu.bytes, pdu.size) != 0)
            return true;
    }
    return false;
}

static void end(struct poller *poller, enum guest_result result, struct poller_effects *ret_effects) {
    poller->guest_here = false;
    schedule_guest(&poller->schedule, 0, NOW_NEVER, 0);
    ret_effects->has_guest = true;
    ret_effects->guest.id = poller->guest.id;
    ret_effects->guest.result = result;
    ret_effects->guest.status = BUS_TIMEOUT;
    ret_effects->guest.pdu.size = 0;
    ret_effects->guest.turnaround_us = 0;
}

/* Line time when the answer begins at the last moment. */
static int64_t cost_us(const struct poller *poller) {
    if (poller->line.baud == 0)
        return 0;
    size_t bytes = REQUEST_SIZE + 3 + frame_reply_size(&poller->guest.pdu);
    return line_bytes_us(&poller->line, bytes) + poller->guest.timeout_us + line_silence_us(&poller->line);
}

void poller_guest_come(struct poller *poller, const struct poller_event *event, struct poller_effects *ret_effects) {
    const struct guest_request *guest = event->guest;
    CHECK(!poller->guest_here && guest->pdu.size == 5 && guest->pdu.bytes[0] >= FC_READ_COILS && guest->pdu.bytes[0] <= FC_READ_INPUT);
    CHECK(guest->unit_id != 0 && guest->timeout_us > 0);
    poller->guest = *guest;
    poller->guest_here = true;
    poller->guest_since_us = event->now.mono_us;
    int64_t most_us = poller->guest_timeout_max_us;
    if (poller->line.baud != 0) /* so that all of it takes no longer than the slowest device that says nothing */
        most_us -= line_bytes_us(&poller->line, 3 + frame_reply_size(&guest->pdu));
    if (most_us < TIMEOUT_MIN_US)
        most_us = TIMEOUT_MIN_US;
    if (poller->guest.timeout_us > most_us)
        poller->guest.timeout_us = most_us;
    if (looks_fire(poller, guest))
        end(poller, GUEST_LOOKS_FIRE, ret_effects);
    else
        schedule_guest(&poller->schedule, poller->guest_since_us, poller->guest_since_us, cost_us(poller));
}

/* What may still come from its unit; NULL when the table is full of others for now. */
static struct late *late_of(struct poller *poller, uint8_t unit_id, int64_t now_us) {
    struct poller_device *device = device_of_unit(poller, unit_id);
    struct poller_stranger *free_one = NULL;
    if (device)
        return &device->late;
    for (int i = 0; i < POLLER_STRANGERS_MAX; i++) {
        struct poller_stranger *stranger = &poller->strangers[i];
        if (stranger->unit_id == unit_id)
            return &stranger->late;
        if (stranger->unit_id == 0 || !late_is_open(&stranger->late, now_us))
            free_one = stranger;
    }
    if (!free_one)
        return NULL;
    *free_one = (struct poller_stranger){.unit_id = unit_id};
    return &free_one->late;
}

bool poller_guest_send(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects) {
    const struct guest_request *guest = &poller->guest;
    if (poller_has_late(poller)) {
        const struct late *late = late_of(poller, guest->unit_id, now_us);
        int64_t at_us = late ? late_allows_us(late, &guest->pdu, false, now_us) : now_us + STRANGER_PAUSE_US;
        if (at_us > now_us) {
            schedule_guest(&poller->schedule, poller->guest_since_us, at_us, cost_us(poller));
            return false;
        }
    }
    poller->request = guest->pdu;
    poller_send(poller, now_us, UNDER_WAY_GUEST, guest->unit_id, guest->timeout_us, ret_effects);
    return true;
}

/* As for the poller's own reads. An exception that may be another's is worth nothing. */
static void note_late(struct poller *poller, int64_t now_us, const struct bus_answer *answer, struct guest_answer *guest) {
    struct late *late = late_of(poller, poller->guest.unit_id, now_us);
    const struct poller_device *device = device_of_unit(poller, poller->guest.unit_id);
    int64_t ceiling_us = device ? (int64_t)device->spec->timeout_ms * 1000 : poller->guest_timeout_max_us;
    int64_t given_up_us = poller->sent_us + poller->timeout_us > now_us ? poller->sent_us + poller->timeout_us : now_us;
    bool exception = guest->status == BUS_ANSWERED && (guest->pdu.bytes[0] & 0x80) != 0;
    CHECK(late); /* taken when it was sent, and since then nobody else was asked */
    bool doubtful = guest->status == BUS_ANSWERED && late_doubts(late, &poller->request, exception, answer->now.mono_us);
    if (doubtful && exception)
        guest->status = BUS_CORRUPT;
    if (doubtful || guest->status != BUS_ANSWERED)
        late_open(late, &poller->request, poller->sent_us, given_up_us + late_window_us(ceiling_us), now_us);
}

void poller_guest_cut(struct poller *poller, int64_t now_us, const struct bus_answer *answer) {
    struct guest_answer nothing = {.status = BUS_TIMEOUT};
    if (poller_has_late(poller))
        note_late(poller, now_us, answer, &nothing);
    schedule_guest(&poller->schedule, poller->guest_since_us, now_us, cost_us(poller));
}

void poller_guest_finish(struct poller *poller, int64_t now_us, const struct bus_answer *answer, bool was_disconnected,
                         struct poller_effects *ret_effects) {
    struct guest_answer *guest = &ret_effects->guest;
    uint8_t exception;
    const uint8_t *data;
    size_t size;
    end(poller, GUEST_ASKED, ret_effects);
    guest->status = answer->status;
    guest->turnaround_us = answer->turnaround_us;
    if (answer->status == BUS_ANSWERED) {
        guest->pdu = answer->pdu;
        if (frame_match(&poller->request, answer->pdu.bytes, answer->pdu.size, &exception, &data, &size) == FRAME_MISMATCH)
            guest->status = BUS_CORRUPT;
    }
    if (poller_has_late(poller) && !(answer->status == BUS_DISCONNECTED && was_disconnected))
        note_late(poller, now_us, answer, guest);
    if (guest->status != BUS_ANSWERED)
        guest->pdu.size = 0;
}

void poller_guest_expire(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects) {
    if (poller->guest_here && now_us - poller->guest_since_us >= POLLER_GUEST_WAIT_US)
        end(poller, GUEST_NO_TIME, ret_effects);
}

void poller_guest_check(const struct poller *poller) {
    bool waits = poller->schedule.guest_at_us != NOW_NEVER;
    CHECK(poller->guest_here == (waits || poller->under_way == UNDER_WAY_GUEST));
    CHECK(!waits || poller->under_way != UNDER_WAY_GUEST);
    for (int i = 0; poller->strangers && i < POLLER_STRANGERS_MAX; i++)
        late_check(&poller->strangers[i].late);
}
