/* SPDX-License-Identifier: Apache-2.0 */
/* What the world knows of every entry from outside: that it was handed to the store, that a broker received or acknowledged
 * it, that it was told as lost. From this it judges conservation and order.
 *
 *  conservation  a cursor never passes a durable entry that is neither acknowledged nor refused nor told as lost; and in the
 *                end (world_settle) every seq that was given out is one of these for every uplink it is for. Only what was
 *                not durable at a power cut is excused.
 *  order         first deliveries of one device's readings, and of one alarm's events, ascend, in the live stream and in the
 *                replayed stream of one process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

static uint16_t bit_of(const struct world *world, uint16_t uplink) {
    return (uint16_t)(1u << (world->config->uplinks_count - 1 - uplink)); /* as store_image numbers them */
}

struct ledger_entry *ledger_at(struct world *world, uint64_t seq) {
    CHECK(seq < 100000000);
    if (seq >= world->ledger_size) {
        uint64_t size = world->ledger_size ? world->ledger_size : 1024;
        while (size <= seq)
            size *= 2;
        world->ledger = realloc(world->ledger, size * sizeof(*world->ledger));
        CHECK(world->ledger);
        memset(world->ledger + world->ledger_size, 0, (size - world->ledger_size) * sizeof(*world->ledger));
        world->ledger_size = size;
    }
    if (seq > world->newest_seq)
        world->newest_seq = seq;
    return &world->ledger[seq];
}

static struct ledger_entry *known(struct world *world, uint64_t seq, uint64_t start) {
    struct ledger_entry *entry = ledger_at(world, seq);
    if (entry->start && entry->start != start)
        world_fail(world, "seq %llu is used by two starts", (unsigned long long)seq);
    entry->start = start;
    return entry;
}

static bool lane_told(const struct ledger_entry *entry, unsigned lane) {
    return entry->told_lanes >> lane & 1;
}

/* ---- conservation ---- */

static bool configured(const struct world *world, const char *device, const char *alarm) {
    for (uint16_t i = 0; i < world->config->alarms_count; i++) {
        const struct config_alarm *rule = &world->config->alarms[i];
        if (strcmp(rule->name, alarm) == 0 && strcmp(world->config->devices[rule->device].spec.name, device) == 0)
            return true;
    }
    return false;
}

/* The end of a retained topic is accounted for when that topic was emptied since, or is in use again. */
static bool cleared(const struct world *world, uint64_t seq, uint16_t uplink) {
    char topic[TOPIC_SIZE];
    for (uint32_t i = 0; i < world->clears_count; i++) {
        const struct ledger_clear *clear = &world->clears[i];
        if (clear->seq != seq)
            continue;
        if (configured(world, clear->device, clear->alarm))
            return true;
        snprintf(topic, sizeof(topic), "%s/alarm/%s/%s", world->config->uplinks[uplink].mqtt.topic_prefix, clear->device, clear->alarm);
        for (uint32_t k = clear->from_message; k < world->messages_count; k++)
            if (world->messages[k].answered && world->messages[k].uplink == uplink && !world->messages[k].payload[0] &&
                strcmp(world->messages[k].topic, topic) == 0)
                return true;
    }
    return false;
}

static void note_clear(struct world *world, const struct entry *entry) {
    struct cleared_event event;
    if (!entry_get_cleared(entry, &event))
        world_fail(world, "entry %llu is damaged", (unsigned long long)entry->seq);
    world->clears = world_grow(world->clears, world->clears_count, &world->clears_room, sizeof(*world->clears));
    struct ledger_clear *clear = &world->clears[world->clears_count++];
    *clear = (struct ledger_clear){.seq = entry->seq, .from_message = world->process_message};
    (void)text_copy(clear->device, sizeof(clear->device), event.device);
    (void)text_copy(clear->alarm, sizeof(clear->alarm), event.alarm);
}

static bool accounted(const struct world *world, uint64_t seq, uint16_t uplink) {
    const struct ledger_entry *entry = &world->ledger[seq];
    uint16_t bit = bit_of(world, uplink);
    return !(entry->uplinks & bit) || (entry->acked | entry->refused) & bit || entry->gone || lane_told(entry, entry->lane) ||
           cleared(world, seq, uplink);
}

static bool covers(const struct cursor *cursor, uint64_t seq) {
    return cursor_next(cursor, seq) != seq;
}

static void check_passed(struct world *world, uint16_t uplink, uint64_t seq, const struct cursor *cursor) {
    const struct ledger_entry *entry = ledger_at(world, seq);
    if (!entry->durable || entry->excused || !covers(cursor, seq) || accounted(world, seq, uplink))
        return;
    world_fail(world, "conservation: the cursor of %s in lane %s passes entry %llu, which was never acknowledged",
               world->config->uplinks[uplink].name, lane_name((enum lane)entry->lane), (unsigned long long)seq);
}

void ledger_cursor(struct world *world, uint16_t uplink, enum lane lane, const struct cursor *cursor) {
    uint64_t reach = cursor_reach(cursor);
    for (uint64_t seq = world->cursor_checked[uplink][lane] + 1; seq <= reach && seq <= world->newest_seq; seq++)
        if (world->ledger[seq].stored && world->ledger[seq].lane == lane)
            check_passed(world, uplink, seq, cursor);
    world->cursor_checked[uplink][lane] = cursor->low < world->newest_seq ? cursor->low : world->newest_seq;
}

void ledger_durable(struct world *world, uint64_t seq) {
    struct ledger_entry *entry = ledger_at(world, seq);
    entry->durable = true;
    for (uint16_t u = 0; u < world->config->uplinks_count; u++)
        check_passed(world, u, seq, &world->store.cursors_written[u][entry->lane]);
}

static void note_gap(struct world *world, const struct entry *entry) {
    struct gap_event gap;
    if (!entry_get_gap(entry, &gap))
        world_fail(world, "gap %llu is damaged", (unsigned long long)entry->seq);
    for (uint64_t seq = gap.from_seq; seq <= gap.to_seq; seq++)
        ledger_at(world, seq)->told_lanes |= (uint8_t)(1u << gap.lane);
    for (uint16_t u = 0; u < world->config->uplinks_count; u++)
        world->gaps_told[u][gap.lane] += entry->uplinks & bit_of(world, u) ? gap.count : 0;
}

void ledger_stored(struct world *world, const uint8_t *bytes, uint32_t size) {
    struct entry entry;
    size_t one;
    for (uint32_t at = 0; at < size; at += (uint32_t)one) {
        if (!entry_open(bytes + at, size - at, &entry, &one))
            world_fail(world, "a run to the store is damaged");
        struct ledger_entry *noted = known(world, entry.seq, entry.start);
        bool before = noted->stored;
        noted->stored = true;
        noted->lane = (uint8_t)entry.lane;
        noted->uplinks = entry.uplinks;
        if (!before && entry.kind == ENTRY_GAP)
            note_gap(world, &entry);
        if (!before && entry.kind == ENTRY_CLEARED)
            note_clear(world, &entry);
    }
}

void ledger_restart(struct world *world, uint64_t next_seq) {
    for (uint64_t seq = 1; seq <= world->newest_seq; seq++) {
        struct ledger_entry *entry = &world->ledger[seq];
        if (seq >= next_seq)
            memset(entry, 0, sizeof(*entry));
        else if (!entry->durable)
            entry->excused = true;
    }
    if (world->newest_seq >= next_seq)
        world->newest_seq = next_seq - 1;
    else if (next_seq > world->newest_seq + 1)
        for (uint64_t seq = world->newest_seq + 1; seq < next_seq; seq++)
            ledger_at(world, seq)->excused = true;
    for (unsigned u = 0; u < UPLINKS_MAX; u++)
        for (unsigned l = 0; l < LANES_COUNT; l++)
            if (world->cursor_checked[u][l] >= next_seq)
                world->cursor_checked[u][l] = next_seq - 1;
    memset(world->gaps_told, 0, sizeof(world->gaps_told));
    memset(world->evicted, 0, sizeof(world->evicted));
    for (uint32_t i = 0; i < world->clears_count; i++)
        if (world->clears[i].seq >= next_seq) /* its number is given out again */
            world->clears[i--] = world->clears[--world->clears_count];
    world->process_message = world->messages_count;
    world->orders_count = 0;
    world->settled_seq = 0;
}

bool ledger_settled(struct world *world, uint64_t through_seq, char *why, size_t size) {
    for (uint64_t seq = world->settled_seq + 1; seq <= through_seq; seq++) {
        const struct ledger_entry *entry = &world->ledger[seq];
        bool everywhere = entry->start && entry->uplinks && !(entry->uplinks & ~entry->acked); /* who has all of it misses nothing */
        bool ok = entry->excused || entry->told_lanes || everywhere || (entry->start && entry->stored && entry->durable);
        for (uint16_t u = 0; ok && !entry->excused && entry->stored && u < world->config->uplinks_count; u++)
            ok = accounted(world, seq, u);
        if (!ok) {
            snprintf(why, size, "entry %llu of lane %s is %s%s%s uplinks=%x received=%x acked=%x", (unsigned long long)seq,
                     entry->stored ? lane_name((enum lane)entry->lane) : "?", entry->start ? "known" : "unknown", entry->durable ? " durable" : "",
                     entry->gone ? " dropped" : "", entry->uplinks, entry->received, entry->acked);
            return false;
        }
        world->settled_seq = seq;
    }
    for (unsigned u = 0; u < world->config->uplinks_count; u++)
        for (unsigned l = 0; l < LANES_COUNT; l++)
            if (world->evicted[u][l] > world->gaps_told[u][l]) {
                snprintf(why, size, "uplink %s, lane %s: %llu entries were dropped for room, %llu told", world->config->uplinks[u].name,
                         lane_name((enum lane)l), (unsigned long long)world->evicted[u][l], (unsigned long long)world->gaps_told[u][l]);
                return false;
            }
    return true;
}

/* ---- deliveries and their order ---- */

static uint32_t hash_text(uint32_t hash, const char *text) {
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x01000193u;
    return (hash ^ 0x7C) * 0x01000193u;
}

static void check_order(struct world *world, const struct message *message) {
    static const char *const keys[] = {"kind", "device", "alarm", "action"};
    uint32_t hash = hash_text(0x811C9DC5u ^ message->uplink * 2u ^ message->replayed, message->topic);
    char text[NAME_SIZE];
    for (unsigned i = 0; i < ARRAY_COUNT(keys) && strstr(message->topic, "/event"); i++)
        hash = hash_text(hash, json_text(message->payload, keys[i], text, sizeof(text)));
    uint32_t i = 0;
    while (i < world->orders_count && world->orders[i].hash != hash)
        i++;
    if (i == world->orders_count) {
        world->orders = world_grow(world->orders, world->orders_count, &world->orders_room, sizeof(*world->orders));
        world->orders[world->orders_count++] = (struct order_key){.hash = hash};
    }
    if (message->seq <= world->orders[i].seq)
        world_fail(world, "order: %s receives entry %llu of %s first after %llu (%s)", world->config->uplinks[message->uplink].name,
                   (unsigned long long)message->seq, message->topic, (unsigned long long)world->orders[i].seq,
                   message->replayed ? "replayed" : "live");
    world->orders[i].seq = message->seq;
}

void ledger_received(struct world *world, const struct message *message) {
    struct ledger_entry *entry = ledger_at(world, message->seq);
    uint16_t bit = bit_of(world, message->uplink);
    if (entry->start && entry->start != message->start && !entry->excused)
        world_fail(world, "seq %llu is used by two starts", (unsigned long long)message->seq);
    if (!entry->start)
        entry->start = message->start;
    if (!(entry->received & bit))
        check_order(world, message);
    entry->received |= bit;
}

void ledger_acked(struct world *world, const struct message *message, enum ack_result result) {
    struct ledger_entry *entry = ledger_at(world, message->seq);
    uint16_t bit = bit_of(world, message->uplink);
    if (result == ACK_OK)
        entry->acked |= bit;
    else
        entry->refused |= bit;
    if (!entry->start)
        entry->start = message->start;
}

/* ---- the truth: a set of (point, time, value), by hash ---- */

static uint64_t truth_hash(uint32_t point, int64_t wall_ms, const struct value *value) {
    uint64_t words[3] = {point, (uint64_t)wall_ms, 0}, hash = 0xCBF29CE484222325u;
    double number;
    if (value_number(value, &number))
        memcpy(&words[2], &number, sizeof(number));
    else
        words[2] = hash_text(0x811C9DC5u, value->kind == VALUE_TEXT ? value->text : "");
    for (unsigned i = 0; i < 3; i++) {
        hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash ? hash : 1;
}

static uint32_t truth_place(const struct world *world, uint64_t hash) {
    uint32_t i = (uint32_t)(hash >> 20) & (world->truths_room - 1);
    while (world->truths[i] && world->truths[i] != hash)
        i = (i + 1) & (world->truths_room - 1);
    return i;
}

void truth_add(struct world *world, uint32_t point, int64_t wall_ms, const struct value *value) {
    if (2 * (world->truths_count + 1) > world->truths_room) {
        uint64_t *old = world->truths;
        uint32_t old_room = world->truths_room;
        world->truths_room = old_room ? 2 * old_room : 4096;
        world->truths = calloc(world->truths_room, sizeof(*world->truths));
        CHECK(world->truths);
        for (uint32_t i = 0; i < old_room; i++)
            if (old[i])
                world->truths[truth_place(world, old[i])] = old[i];
        free(old);
    }
    uint64_t hash = truth_hash(point, wall_ms, value);
    uint32_t i = truth_place(world, hash);
    world->truths_count += !world->truths[i];
    world->truths[i] = hash;
}

bool truth_known(const struct world *world, uint32_t point, int64_t wall_ms, const struct value *value) {
    uint64_t hash = truth_hash(point, wall_ms, value);
    return world->truths_room && world->truths[truth_place(world, hash)] == hash;
}
