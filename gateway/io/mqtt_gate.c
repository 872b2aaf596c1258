/* SPDX-License-Identifier: Apache-2.0 */
/* The short way of a message: the loop thread itself hands it to the library, so that no thread has to wake for it.
 *
 * The library has one lock for all its clients, and MQTTAsync_send takes it. The library's threads hold it for CPU work only (its
 * sockets never block, a full one keeps the rest of a message in a list), except while a link connects or is closed: then
 * for a name look-up, a TLS handshake, or the end of threads. Therefore there is a gate, and a message goes the short way only
 *   - while no link connects, leaves, ends or is destroyed: mqtt_gate_look shuts the gate before the first of these begins;
 *   - when no earlier message of its link waits for the pump, so that order is kept;
 *   - not for DIRECT_PAUSE_US after a send that took DIRECT_SLOW_US, whatever the reason: a bound that needs no trust.
 * Otherwise, and when the library does not take it, it goes to the pump, which knows what to do.
 *
 * Locks, in the order in which they are taken: gate, the library's, mqtt->lock, what the sink takes. The pump holds the gate only to
 * set flags, the loop during one send; so the pump never begins to connect beside a send. A sink that waited for the loop would
 * wait for ever, since the loop may be waiting for the library's lock, which the sink's thread holds: sinks never wait (mqtt.h). */
#include <stdatomic.h>

#include "base/check.h"
#include "base/now.h"
#include "gateway/io/mqtt_link.h"

#define DIRECT_SLOW_US 5000 /* a send takes about 10 us; so long the loop may be late once in a pause */
#define DIRECT_PAUSE_US 1000000

void mqtt_gate_init(struct mqtt *mqtt) {
    CHECK(pthread_mutex_init(&mqtt->gate, NULL) == 0);
}

void mqtt_gate_done(struct mqtt *mqtt) {
    pthread_mutex_destroy(&mqtt->gate);
}

void mqtt_gate_look(struct mqtt *mqtt) {
    bool open = !mqtt->closing;
    for (uint16_t i = 0; i < mqtt->links_count; i++) {
        const struct link *link = &mqtt->links[i];
        open = open && !link->ending && link->state != STATE_CONNECTING && link->state != STATE_LEAVING;
    }
    pthread_mutex_lock(&mqtt->gate);
    for (uint16_t i = 0; i < mqtt->links_count; i++)
        mqtt->links[i].direct = open && mqtt->links[i].ready;
    pthread_mutex_unlock(&mqtt->gate);
}

struct flight *mqtt_flight_begin(struct link *link, uint16_t slot) {
    pthread_mutex_lock(&link->mqtt->lock);
    struct flight *flight = &link->flights[link->bank][slot];
    CHECK(flight->state == FLIGHT_FREE); /* a slot is used again only after its answer */
    *flight = (struct flight){.link = link, .epoch = link->epoch, .slot = slot, .state = FLIGHT_WAITING};
    if (link->in_flight++ == 0)
        link->progress_us = now_mono_us();
    pthread_mutex_unlock(&link->mqtt->lock);
    return flight;
}

/* The library did not take it: as if it had never been tried. */
static void flight_undo(struct link *link, struct flight *flight) {
    pthread_mutex_lock(&link->mqtt->lock);
    flight->state = FLIGHT_FREE;
    link->in_flight--;
    pthread_mutex_unlock(&link->mqtt->lock);
}

bool mqtt_gate_send(struct link *link, const struct mqtt_command *send) {
    struct mqtt *mqtt = link->mqtt;
    int64_t begun_us = now_mono_us();
    bool sent = false;
    if (atomic_load(&link->sends_queued) != 0 || begun_us < mqtt->direct_from_us)
        return false;
    pthread_mutex_lock(&mqtt->gate);
    if (link->direct) {
        struct flight *flight = mqtt_flight_begin(link, send->slot);
        sent = mqtt_handle_send(link, flight, send) == MQTT_HANDLE_OK;
        if (!sent)
            flight_undo(link, flight);
    }
    pthread_mutex_unlock(&mqtt->gate);
    int64_t ended_us = now_mono_us();
    if (ended_us - begun_us >= DIRECT_SLOW_US)
        mqtt->direct_from_us = ended_us + DIRECT_PAUSE_US;
    return sent;
}
