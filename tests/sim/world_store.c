/* SPDX-License-Identifier: Apache-2.0 */
/* The model of the store: one writer, which takes its time for each run and may stall or fail; what is committed survives a
 * crash, what is on its way may or may not. Entries that every uplink has acknowledged are deleted, and when what is left
 * is over the quota the oldest readings go first, then events, fire last: one lane in one answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

#define CURSOR_US (2 * SECOND) /* the writer collects cursors this long */
#define QUERY_US (2 * MS)

/* ---- changes ---- */

void world_store_delay(struct world *world, int64_t commit_ms) {
    world->store.commit_us = commit_ms * MS;
}

void world_store_stall(struct world *world, int64_t for_ms) {
    world->store.stalled_until_us = world->now_us + for_ms * MS;
    log_line(world, world->now_us, "world: store stalls for %lld ms", (long long)for_ms);
}

void world_store_failing(struct world *world, bool failing) {
    world->store.failing = failing;
    log_line(world, world->now_us, "world: store %s", failing ? "fails" : "is well");
}

void world_store_quota(struct world *world, uint64_t bytes) {
    world->store.quota = bytes;
}

/* ---- start ---- */

void store_image(struct world *world, struct arena *arena, struct store_image *ret_image) {
    const struct config *config = world->config;
    struct model_store *store = &world->store;
    *ret_image = (struct store_image){.next_seq = 1, .series = world->series, .configuration_changed = world->starts == 0};
    world->starts++;
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        const struct stored_lane *lane = &store->lanes[i];
        if (lane->count && lane->entries[lane->count - 1].seq >= ret_image->next_seq)
            ret_image->next_seq = lane->entries[lane->count - 1].seq + 1;
        for (unsigned u = 0; u < config->uplinks_count; u++) {
            ret_image->cursors[u][i] = store->cursors_written[u][i] = store->cursors[u][i];
            if (cursor_reach(&store->cursors[u][i]) >= ret_image->next_seq)
                ret_image->next_seq = cursor_reach(&store->cursors[u][i]) + 1;
        }
    }
    for (unsigned u = 0; u < config->uplinks_count; u++)
        ret_image->uplink_numbers[u] = (uint8_t)(config->uplinks_count - 1 - u); /* not the index, so that a mix-up shows */
    struct store_record *records = arena_take(arena, store->records_count + 1u, sizeof(*records));
    for (uint32_t i = 0; i < store->records_count; i++)
        if (store->records[i].size)
            records[ret_image->records_count++] = (struct store_record){
                .owner = store->records[i].owner, .name = store->records[i].name, .bytes = store->records[i].bytes, .size = store->records[i].size};
    ret_image->records = records;
}

/* ---- the writer ---- */

static void begin_run(struct world *world, const struct effect *effect) {
    struct model_store *store = &world->store;
    struct run *run = &store->runs[effect->store.lane];
    if (run->under_way)
        world_fail(world, "two runs of lane %s are under way", lane_name(effect->store.lane));
    if (effect->store.lane == LANE_READING) {
        store->readings_us = world->now_us;
        store->readings_runs++;
    }
    *run = (struct run){.under_way = true,
                        .lane = effect->store.lane,
                        .last_seq = effect->store.last_seq,
                        .bytes = malloc(effect->store.size),
                        .size = effect->store.size,
                        .records = malloc((effect->store.records_count + 1u) * sizeof(*run->records)),
                        .records_count = effect->store.records_count};
    CHECK(run->bytes && run->records);
    memcpy(run->bytes, effect->store.bytes, run->size);
    if (run->records_count)
        memcpy(run->records, effect->store.records, run->records_count * sizeof(*run->records));
    int64_t begin_us = store->free_us > world->now_us ? store->free_us : world->now_us;
    begin_us = store->stalled_until_us > begin_us ? store->stalled_until_us : begin_us;
    store->free_us = begin_us + store->commit_us;
    world_arrange(world, store->free_us - world->now_us, COMING_COMMIT, effect->store.lane, NULL);
}

static void free_run(struct run *run) {
    free(run->bytes);
    free(run->records);
    *run = (struct run){.under_way = false};
}

static void save_records(struct world *world, const struct run *run) {
    struct model_store *store = &world->store;
    for (unsigned i = 0; i < run->records_count; i++) {
        const struct record_save *save = &run->records[i];
        uint32_t at = 0;
        while (at < store->records_count && (strcmp(store->records[at].owner, save->owner) != 0 || strcmp(store->records[at].name, save->name) != 0))
            at++;
        if (at == store->records_count) {
            store->records = world_grow(store->records, at, &store->records_room, sizeof(*store->records));
            store->records_count++;
            snprintf(store->records[at].owner, sizeof(store->records[at].owner), "%s", save->owner);
            snprintf(store->records[at].name, sizeof(store->records[at].name), "%s", save->name);
        }
        memcpy(store->records[at].bytes, save->bytes, save->size);
        store->records[at].size = save->size;
    }
}

static void write_cursors(struct world *world) {
    struct model_store *store = &world->store;
    memcpy(store->cursors, store->cursors_written, sizeof(store->cursors));
}

/* Deletes from the front what every uplink has. */
static void delete_acknowledged(struct world *world, enum lane l) {
    struct stored_lane *lane = &world->store.lanes[l];
    for (uint32_t i = lane->first; i < lane->count; i++) {
        struct stored_entry *entry = &lane->entries[i];
        bool wanted = false;
        for (unsigned u = 0; u < world->config->uplinks_count; u++)
            wanted = wanted || (entry->uplinks >> (world->config->uplinks_count - 1 - u) & 1 &&
                                cursor_next(&world->store.cursors[u][l], entry->seq) == entry->seq);
        if (wanted && entry->bytes)
            break;
        free(entry->bytes);
        entry->bytes = NULL;
        lane->first = i + 1;
    }
}

static uint64_t kept_bytes(const struct world *world) {
    uint64_t bytes = 0;
    for (unsigned l = 0; l < LANES_COUNT; l++)
        for (uint32_t i = world->store.lanes[l].first; i < world->store.lanes[l].count; i++)
            bytes += world->store.lanes[l].entries[i].bytes ? world->store.lanes[l].entries[i].size : 0;
    return bytes;
}

/* For each uplink that has not got it. */
static void count_evicted(struct world *world, enum lane lane, const struct stored_entry *entry) {
    for (unsigned u = 0; u < world->config->uplinks_count; u++) {
        if (!(entry->uplinks >> (world->config->uplinks_count - 1 - u) & 1) || cursor_next(&world->store.cursors[u][lane], entry->seq) != entry->seq)
            continue;
        struct missed *evicted = &world->store.evicted[u][lane];
        missed_add(evicted, &(struct missed){entry->seq, entry->seq, 1});
        world->evicted[u][lane]++;
    }
}

static void evict(struct world *world) {
    static const enum lane order[] = {LANE_READING, LANE_EVENT, LANE_FIRE};
    uint64_t bytes = world->store.quota ? kept_bytes(world) : 0;
    for (unsigned k = 0; k < LANES_COUNT && bytes > world->store.quota; k++) {
        struct stored_lane *lane = &world->store.lanes[order[k]];
        for (; lane->first < lane->count && bytes > world->store.quota; lane->first++) {
            struct stored_entry *entry = &lane->entries[lane->first];
            if (!entry->bytes)
                continue;
            bytes -= entry->size;
            free(entry->bytes);
            entry->bytes = NULL;
            ledger_at(world, entry->seq)->gone = true;
            count_evicted(world, order[k], entry);
        }
    }
}

/* One uplink and lane with each answer. */
static void tell_evicted(struct world *world, struct event *stored) {
    for (uint16_t u = 0; u < world->config->uplinks_count; u++)
        for (unsigned l = 0; l < LANES_COUNT; l++) {
            struct missed *evicted = &world->store.evicted[u][l];
            if (!evicted->count)
                continue;
            stored->stored.evicted_uplink = u;
            stored->stored.evicted_lane = (enum lane)l;
            stored->stored.evicted = *evicted;
            *evicted = (struct missed){.count = 0};
            return;
        }
}

static void make_durable(struct world *world, struct run *run) {
    struct stored_lane *lane = &world->store.lanes[run->lane];
    struct entry entry;
    size_t size;
    for (uint32_t at = 0; at < run->size; at += (uint32_t)size) {
        if (!entry_open(run->bytes + at, run->size - at, &entry, &size))
            world_fail(world, "a run of lane %s is damaged", lane_name(run->lane));
        lane->entries = world_grow(lane->entries, lane->count, &lane->room, sizeof(*lane->entries));
        struct stored_entry *stored = &lane->entries[lane->count++];
        *stored = (struct stored_entry){.seq = entry.seq, .uplinks = entry.uplinks, .size = (uint32_t)size, .bytes = malloc(size)};
        CHECK(stored->bytes);
        memcpy(stored->bytes, run->bytes + at, size);
        ledger_durable(world, entry.seq);
    }
    save_records(world, run);
    write_cursors(world);
}

static void on_commit(struct world *world, enum lane lane) {
    struct model_store *store = &world->store;
    struct run *run = &store->runs[lane];
    int64_t late_us = store->stalled_until_us - world->now_us;
    if (late_us > 0) { /* a stall began meanwhile */
        world_arrange(world, late_us + store->commit_us, COMING_COMMIT, lane, NULL);
        return;
    }
    struct event event = {.kind = EVENT_STORED, .stored = {.lane = lane, .err = store->failing ? ERR_IO : ERR_OK, .last_seq = run->last_seq}};
    if (!store->failing) {
        make_durable(world, run);
        for (unsigned l = 0; l < LANES_COUNT; l++)
            delete_acknowledged(world, (enum lane)l);
        evict(world);
        tell_evicted(world, &event);
        log_line(world, world->now_us, "store: %s durable to %llu", lane_name(lane), (unsigned long long)run->last_seq);
    }
    free_run(run);
    world_event(world, &event);
}

/* ---- questions ---- */

static void on_query(struct world *world, const struct effect *effect) {
    struct model_store *store = &world->store;
    uint16_t u = effect->query.uplink;
    if (store->asked[u])
        world_fail(world, "uplink %s has two queries under way", world->config->uplinks[u].name);
    store->asked[u] = true;
    struct effect *copy = malloc(sizeof(*copy));
    CHECK(copy);
    *copy = *effect;
    world_arrange(world, QUERY_US, COMING_ROWS, u, copy);
}

static void on_rows(struct world *world, const struct effect *asked) {
    struct model_store *store = &world->store;
    uint16_t u = asked->query.uplink, bit = (uint16_t)(1u << (world->config->uplinks_count - 1 - u));
    const struct stored_lane *lane = &store->lanes[asked->query.lane];
    struct event event = {.kind = EVENT_ROWS,
                          .rows = {.uplink = u,
                                   .lane = asked->query.lane,
                                   .err = store->failing ? ERR_IO : ERR_OK,
                                   .after_seq = asked->query.after_seq,
                                   .through_seq = asked->query.through_seq}};
    free(store->rows[u]);
    uint8_t *bytes = store->rows[u] = malloc(QUERY_ROWS_SIZE);
    CHECK(bytes);
    for (uint32_t i = lane->first; !store->failing && i < lane->count; i++) {
        const struct stored_entry *entry = &lane->entries[i];
        if (entry->seq <= asked->query.after_seq || entry->seq > asked->query.through_seq || !entry->bytes || !(entry->uplinks & bit))
            continue;
        if (event.rows.size + entry->size > QUERY_ROWS_SIZE) {
            event.rows.through_seq = entry->seq - 1;
            break;
        }
        memcpy(bytes + event.rows.size, entry->bytes, entry->size);
        event.rows.size += entry->size;
    }
    event.rows.bytes = bytes;
    store->asked[u] = false;
    world_event(world, &event);
}

/* ---- effects, events, the end ---- */

static void check_history(struct world *world, const struct effect *effect) {
    world->store.batches++;
    world->store.together += world->store.readings_us == world->now_us;
    struct bytes_reader reader;
    struct reading_order order;
    struct packed_reading reading;
    bytes_reader_init(&reader, effect->history.bytes, effect->history.size);
    reading_order_begin(&order, effect->history.at_ms);
    while (entry_get_reading(&reader, &order, &reading)) {
        uint32_t point = world->config->points_count - 1 - reading.series;
        int64_t mono_ms = world->now_us / 1000 - (world_now(world).wall_ms - reading.at_ms);
        bool waited = world->wall_trusted && truth_known(world, point, UNTIMED_MS + mono_ms, &reading.value);
        world->history_waited += waited;
        world->history_taken++;
        if (reading.quality == QUALITY_GOOD && !waited && !truth_known(world, point, TIMED_MS + reading.at_ms, &reading.value))
            world_fail(world, "freshness: the history takes %s/%s at %lld, which nothing said then", world->series.items[reading.series].device,
                       world->series.items[reading.series].point, (long long)reading.at_ms);
    }
    if (reader.failed)
        world_fail(world, "a history batch is damaged");
}

void store_effect(struct world *world, const struct effect *effect) {
    struct model_store *store = &world->store;
    if (effect->kind == EFFECT_STORE) {
        begin_run(world, effect);
    } else if (effect->kind == EFFECT_QUERY) {
        on_query(world, effect);
    } else if (effect->kind == EFFECT_HISTORY) {
        check_history(world, effect);
    } else {
        ledger_cursor(world, effect->cursor.uplink, effect->cursor.lane, effect->cursor.cursor);
        store->cursors_written[effect->cursor.uplink][effect->cursor.lane] = *effect->cursor.cursor;
        if (!store->cursors_coming)
            world_arrange(world, CURSOR_US, COMING_CURSORS, 0, NULL);
        store->cursors_coming = true;
    }
}

void store_coming(struct world *world, struct coming *coming) {
    if (coming->kind == COMING_COMMIT) {
        on_commit(world, (enum lane)coming->index);
    } else if (coming->kind == COMING_ROWS) {
        on_rows(world, coming->data);
    } else {
        world->store.cursors_coming = false;
        if (!world->store.failing)
            write_cursors(world);
    }
}

void store_crash(struct world *world, bool keep_runs) {
    struct model_store *store = &world->store;
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        if (store->runs[i].under_way && keep_runs && !store->failing)
            make_durable(world, &store->runs[i]);
        free_run(&store->runs[i]);
    }
    if (keep_runs && !store->failing)
        write_cursors(world);
    store->cursors_coming = false;
    store->free_us = 0;
    memset(store->asked, 0, sizeof(store->asked));
}

void store_free(struct world *world) {
    free(world->store.records);
    struct model_store *store = &world->store;
    for (unsigned l = 0; l < LANES_COUNT; l++) {
        free_run(&store->runs[l]);
        for (uint32_t i = 0; i < store->lanes[l].count; i++)
            free(store->lanes[l].entries[i].bytes);
        free(store->lanes[l].entries);
    }
    for (unsigned u = 0; u < UPLINKS_MAX; u++)
        free(store->rows[u]);
}
