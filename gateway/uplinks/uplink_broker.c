/* SPDX-License-Identifier: Apache-2.0 */
/* Which broker of the list is next:
 *
 *    a connection failed, or was lost -----------------------> the one after it, after the last the first
 *    lost after 10 minutes on another than the first --------> the first, for which a working connection is never given up
 *
 * and when: within a round through the list after 1 s; after a round after 1 s, 2 s, and so on to 60 s, each a quarter more or less
 * by chance; the first pause again after a connection that held for 30 s. With one broker a round is one try.
 *
 * What is told: each change of state once; of attempts that fail the same way only the first for each broker; of connections that break
 * again and again the third, with the usual cause, and then none before one holds. */
#include "gateway/uplinks/uplink_broker.h"

#include <stdio.h>

#define BROKER_WORDS_SIZE (HOST_SIZE + 24) /* " broker=HOST:PORT" */

/* "" with a single broker: nobody asks which. */
static const char *broker_words(const struct uplink *uplink, const char *before, char bytes[BROKER_WORDS_SIZE]) {
    const struct config_broker *broker = &uplink->rule->mqtt.brokers[uplink->broker];
    bytes[0] = '\0';
    if (uplink->rule->mqtt.brokers_count > 1)
        snprintf(bytes, BROKER_WORDS_SIZE, "%s%s:%u", before, broker->host, (unsigned)broker->port);
    return bytes;
}

void uplink_tell_up(struct uplink *uplink, const struct now *now, uint8_t version) {
    char bytes[BROKER_WORDS_SIZE];
    if (uplink->flaps < UPLINK_FLAPS_TOLD)
        trace_add(uplink->trace, now->mono_us, TRACE_INFO, "uplink %s up mqtt=%s window=%u%s", uplink->rule->name, version == 5 ? "5" : "3.1.1",
                  uplink->window, broker_words(uplink, " broker=", bytes));
}

static int64_t pause_us(struct uplink *uplink, uint32_t failures) {
    int64_t pause_ms = UPLINK_BACKOFF_MS;
    for (uint32_t i = 0; i < failures && pause_ms < UPLINK_BACKOFF_MAX_MS; i++)
        pause_ms *= 2;
    if (pause_ms > UPLINK_BACKOFF_MAX_MS)
        pause_ms = UPLINK_BACKOFF_MAX_MS;
    return 750 * pause_ms + (int64_t)prng_below(&uplink->prng, (uint64_t)(500 * pause_ms)); /* 0.75 to 1.25 of it */
}

/* The next broker, and when: one round through the list counts as one failure, and within it the first pause is enough. */
int64_t uplink_next_broker(struct uplink *uplink, const struct now *now, bool was_up) {
    uint8_t count = uplink->rule->mqtt.brokers_count;
    int64_t up_us = now->mono_us - uplink->up_since_us;
    if (was_up && up_us >= UPLINK_STEADY_US)
        uplink->failures = uplink->tried = 0;
    else if (was_up && uplink->failures > UPLINK_FLAPS_MAX)
        uplink->failures = UPLINK_FLAPS_MAX;
    bool home = was_up && uplink->broker > 0 && up_us >= UPLINK_AWAY_US;
    uplink->broker = home ? 0 : (uint8_t)((uplink->broker + 1) % count);
    if (++uplink->tried < count)
        return pause_us(uplink, 0);
    uplink->tried = 0;
    return pause_us(uplink, uplink->failures++);
}

/* Connections that break at once look alike: the third says so, with the usual cause, and the rest is silent until one holds. */
void uplink_tell_down(struct uplink *uplink, const struct now *now, const struct uplink_down *down) {
    bool flapped = down->was_up && down->reason == LINK_LOST && now->mono_us - uplink->up_since_us < UPLINK_STEADY_US;
    char bytes[BROKER_WORDS_SIZE];
    if (down->was_up && !flapped)
        uplink->flaps = 0;
    uplink->flaps += flapped && uplink->flaps <= UPLINK_FLAPS_TOLD;
    if (flapped && uplink->flaps > UPLINK_FLAPS_TOLD)
        return;
    if (down->was_up || uplink->told[down->broker] != down->reason + 1) /* the same reason again is counted, not repeated */
        trace_add(uplink->trace, now->mono_us, TRACE_WARNING, "uplink %s down %s: %s (next try%s in %.1f s)", uplink->rule->name,
                  link_reason_name(down->reason), down->text[0] ? down->text : link_reason_sentence(down->reason), broker_words(uplink, " at ", bytes),
                  (double)down->pause_us / 1e6);
    uplink->told[down->broker] = (uint8_t)(down->reason + 1);
    if (flapped && uplink->flaps == UPLINK_FLAPS_TOLD)
        trace_add(uplink->trace, now->mono_us, TRACE_ERROR,
                  "uplink %s: %u connections in a row broke within %d s; if another gateway or program uses the client_id '%s' they throw each other "
                  "out: give each its own. Trying goes on; the next line comes when a connection holds",
                  uplink->rule->name, UPLINK_FLAPS_TOLD, UPLINK_STEADY_US / 1000000, uplink->rule->mqtt.client_id);
}

/* A connection that holds after some that did not. */
void uplink_tell_steady(struct uplink *uplink, const struct now *now) {
    if (uplink->state != UPLINK_UP || now->mono_us - uplink->up_since_us < UPLINK_STEADY_US)
        return;
    if (uplink->flaps >= UPLINK_FLAPS_TOLD)
        trace_add(uplink->trace, now->mono_us, TRACE_INFO, "uplink %s holds: up for %d s", uplink->rule->name, UPLINK_STEADY_US / 1000000);
    uplink->flaps = 0;
}
