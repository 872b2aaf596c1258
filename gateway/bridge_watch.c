/* SPDX-License-Identifier: Apache-2.0 */
/* The watch, each second on the loop: how long has every part made no progress? The engine is asked (gateway/core/vitals.h) when one is late,
 * or while not all is well; a gateway that is well costs no step. What it wants done comes back as effects.
 *
 * The loop itself is watched from outside: by the service manager, which this beat tells that it is alive, and by an alarm of the kernel
 * that each beat puts off (io/last_words.h). A stuck part does not stop the beat: the engine decides about it, and a process that
 * is killed in the middle of a commit is not what a stuck line needs. */
#include <string.h>

#include "base/text.h"
#include "gateway/bridge.h"
#include "gateway/io/log.h"
#include "gateway/io/notify.h"

#define WORDS_WRITE_US 60000000 /* unless a part is stuck: 6 MB a day at worst */

const struct bridge_pace bridge_pace_usual = {.bounds = vitals_bounds_usual, .beat_ms = 1000, .loop_s = LAST_WORDS_LOOP_S};

/* A line that could not be opened again is stuck for good: its part makes no progress since the last beat that saw some. */
static int64_t busy_us(const struct bridge *bridge, const struct vitals_part *part, int64_t now_us) {
    switch (part->kind) {
    case VITALS_LINE:
        return bridge->buses[part->index].rtu ? bus_rtu_idle_us(bridge->buses[part->index].rtu) : NOW_NEVER / 2;
    case VITALS_STORE:
        return store_idle_us(bridge->store);
    case VITALS_BACKLOG:
        return store_query_busy_us(bridge->store);
    case VITALS_PUMP:
        return mqtt_busy_us(bridge->mqtt);
    case VITALS_LINK:
        return bridge->watch.asked_us[part->index] ? now_us - bridge->watch.asked_us[part->index] : 0;
    case VITALS_CONTROL:
        return bridge->socket ? socket_busy_us(bridge->socket) : 0;
    }
    return 0;
}

static void add_seconds(struct text *text, int64_t us) {
    text_add_char(text, ' ');
    text_add_u64(text, (uint64_t)(us / 1000000));
    text_add(text, " s");
}

/* The first line says what is late, the rest is for who looks closer. */
static void words_compose(const struct bridge *bridge, const struct now *now, int64_t loop_late_us, char *bytes, size_t size) {
    const struct engine_counters *counters = engine_counters(bridge->engine);
    struct text text;
    bool any = false;
    text_init(&text, bytes, size);
    for (unsigned i = 0; i < counters->vitals.count; i++) {
        const struct vitals_part *part = &counters->vitals.parts[i];
        if (part->state == VITALS_FINE)
            continue;
        text_add(&text, any ? ", " : "not well: ");
        text_add(&text, part->name);
        text_add_char(&text, ' ');
        text_add(&text, vitals_state_name(part->state));
        add_seconds(&text, now->mono_us - part->since_us);
        any = true;
    }
    if (loop_late_us) {
        text_add(&text, any ? ", " : "not well: ");
        text_add(&text, "loop late");
        add_seconds(&text, loop_late_us);
        any = true;
    }
    text_add(&text, any ? "\n" : "every part was well\n");
    text_add(&text, bridge->config->gateway_id);
    text_add(&text, ", written ");
    text_add_time(&text, now->wall_ms, bridge->config->utc_offset_minutes);
    text_add(&text, "\n");
    log_recent(&text);
}

/* To the disk goes only what is news: a part that changed its state, and the first of a run; a part that is late now and then must not
 * wear the card out. */
static void words_say(struct bridge *bridge, const struct now *now, int64_t loop_late_us) {
    const struct engine_counters *counters = engine_counters(bridge->engine);
    struct bridge_watch *watch = &bridge->watch;
    char bytes[LAST_WORDS_TEXT_SIZE];
    bool at_once = watch->beat_us == 0;
    watch->news = watch->news || at_once || loop_late_us;
    for (unsigned i = 0; i < counters->vitals.count; i++) {
        enum vitals_state state = counters->vitals.parts[i].state;
        bool changed = watch->states[i] != state;
        watch->news = watch->news || changed;
        at_once = at_once || (changed && (state == VITALS_STUCK || state == VITALS_TRIAL));
        watch->states[i] = (uint8_t)state;
    }
    bool write = watch->news && (at_once || now->mono_us >= watch->write_us);
    words_compose(bridge, now, loop_late_us, bytes, sizeof(bytes));
    last_words_say(bytes, write);
    if (!write)
        return;
    watch->news = false;
    watch->write_us = now->mono_us + WORDS_WRITE_US;
}

static void look(struct bridge *bridge, const struct now *now, int64_t loop_late_us) {
    const struct engine_counters *counters = engine_counters(bridge->engine);
    struct bridge_watch *watch = &bridge->watch;
    int64_t busy[VITALS_PARTS_MAX];
    bool late = counters->vitals.attention || loop_late_us;
    for (unsigned i = 0; i < counters->vitals.count; i++) {
        const struct vitals_part *part = &counters->vitals.parts[i];
        busy[i] = busy_us(bridge, part, now->mono_us);
        late = late || busy[i] >= watch->pace.bounds[part->kind].late_us;
    }
    if (!late)
        return;
    struct event event = {.kind = EVENT_VITALS,
                          .vitals = {.parts_count = counters->vitals.count,
                                     .busy_us = busy,
                                     .bounds = watch->pace.bounds,
                                     .loop_late_us = loop_late_us,
                                     .may_restart = notify_supervised()}};
    bridge_step(bridge, &event);
}

void bridge_watch_beat(struct bridge *bridge) {
    struct now now;
    now_read(&now);
    int64_t beat_us = bridge->watch.pace.beat_ms * INT64_C(1000);
    int64_t late_us = bridge->watch.beat_us ? now.mono_us - bridge->watch.beat_us - beat_us : 0;
    last_words_beat(bridge->watch.pace.loop_s);
    notify_watchdog();
    if (late_us < beat_us)
        late_us = 0;
    if (!bridge->stopping)
        look(bridge, &now, late_us);
    words_say(bridge, &now, late_us);
    bridge->watch.beat_us = now.mono_us;
}

void bridge_watch_restart(struct bridge *bridge, const char *part) {
    log_text(TRACE_ERROR, "%s is stuck and nothing else has helped: the gateway ends itself to be started anew", part);
    last_words_restart(part);
    bridge->watch.restart = true;
}
