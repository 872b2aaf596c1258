/* SPDX-License-Identifier: Apache-2.0 */
/* What an alarm says beside its condition: when it is told again, what to do, on what ground, by what it is suppressed, and until
 * when it is shelved. Fire is never acknowledged automatically, never suppressed and never shelved by a file: each of the three
 * is refused whether the class or the key came later. */
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "config/scalar.h"

static const struct node *member(const struct node *map, const char *name) {
    return schema_member(&schema_alarm, map, name);
}

static void read_words(const struct node *words, struct arena *arena, const char **zh, const char **en) {
    if (schema_member(&schema_words, words, "zh"))
        *zh = loader_keep(arena, schema_text(&schema_words, words, "zh"));
    if (schema_member(&schema_words, words, "en"))
        *en = loader_keep(arena, schema_text(&schema_words, words, "en"));
}

static void read_shelf(const struct node *map, struct arena *arena, struct config_alarm *alarm) {
    const struct node *until = schema_member(&schema_shelf, map, "until");
    if (!until || !schema_member(&schema_shelf, map, "by") || !schema_member(&schema_shelf, map, "reason"))
        return; /* told by the table: all three are required */
    struct config_shelf *shelf = arena_take(arena, 1, sizeof(*shelf));
    shelf->by = loader_keep(arena, schema_text(&schema_shelf, map, "by"));
    shelf->reason = loader_keep(arena, schema_text(&schema_shelf, map, "reason"));
    CHECK(scalar_time(until->text, &shelf->until_ms));
    alarm->shelf = shelf;
}

/* At the key that is not allowed when it is written here, else at what made the alarm one of fire. */
static bool refuse_for_fire(const struct source *source, const struct node *map, const char *key, const char *why) {
    const struct node *at = node_get(map, key) ? node_get(map, key) : node_get(map, "class");
    source_error(source, node_place(at ? at : map), "'%s' is not allowed for class fire: %s", key, why);
    return false;
}

bool alarm_keys_read(const struct source *source, const struct node *map, struct arena *arena, struct config_alarm *alarm) {
    if (member(map, "realarm"))
        alarm->realarm_ms = (uint32_t)schema_u64(&schema_alarm, map, "realarm");
    if (member(map, "escalate"))
        alarm->escalate_ms = (uint32_t)schema_u64(&schema_alarm, map, "escalate");
    if (member(map, "auto_acknowledge"))
        alarm->auto_acknowledge = schema_u64(&schema_alarm, map, "auto_acknowledge") != 0;
    if (member(map, "confidence"))
        alarm->confidence = (enum profile_confidence)schema_u64(&schema_alarm, map, "confidence");
    read_words(member(map, "remedy"), arena, &alarm->remedy_zh, &alarm->remedy_en);
    read_words(member(map, "basis"), arena, &alarm->basis_zh, &alarm->basis_en);
    if (member(map, "shelve"))
        read_shelf(member(map, "shelve"), arena, alarm);
    if (alarm->class != CLASS_FIRE)
        return true;
    bool ok = true;
    if (alarm->auto_acknowledge)
        ok = refuse_for_fire(source, map, "auto_acknowledge", "a person must have seen it");
    if (alarm->shelf || node_get(map, "shelve"))
        ok = refuse_for_fire(source, map, "shelve", "put the device out of service by a command, which is journalled and ends");
    return ok;
}

/* ---- suppression ---- */

static const char *alarm_path(const struct loader *loader, uint32_t index, char buffer[NAME_SIZE * 2]) {
    const struct config_alarm *alarm = &loader->alarms[index];
    struct text text;
    text_init(&text, buffer, (size_t)NAME_SIZE * 2);
    text_add(&text, loader->devices[alarm->device].spec.name);
    text_add_char(&text, '/');
    text_add(&text, alarm->name);
    return buffer;
}

static void resolve(struct loader *loader, uint32_t index) {
    struct loader_alarm *more = &loader->alarms_more[index];
    const struct node *node = more->suppressed_by;
    if (loader->alarms[index].class == CLASS_FIRE) {
        source_error(more->suppressed_source, node_place(node), "'suppressed_by' is not allowed for class fire: suppression never touches fire");
        return;
    }
    uint32_t other = loader_find_alarm(loader, more->suppressed_source, node);
    if (other == NAMES_NONE)
        return;
    if (other == index)
        source_error(more->suppressed_source, node, "the alarm '%s' would be suppressed by itself", loader->alarms[index].name);
    else if (!loader->alarms_more[other].removed)
        more->suppressor = other;
    else if (more->suppressed_source == &loader->site) /* a rule that meets a removed one is suppressed by nothing */
        source_error(&loader->site, node, "the alarm '%s' is removed in this file, so it would suppress nothing", QUOTE(node->text));
}

/* Every alarm has at most one suppressor, so a circle is a walk that comes back; `seen` tells in which walk an alarm was met. */
static void refuse_circles(struct loader *loader) {
    uint32_t *seen = arena_take(&loader->scratch, loader->alarms_count + 1u, sizeof(*seen));
    for (uint32_t i = 0; i < loader->alarms_count; i++) {
        uint32_t at = i;
        while (at != NAMES_NONE && !seen[at]) {
            seen[at] = i + 1;
            at = loader->alarms_more[at].suppressor;
        }
        if (at == NAMES_NONE || seen[at] != i + 1)
            continue;
        char first[NAME_SIZE * 2], second[NAME_SIZE * 2];
        const struct loader_alarm *more = &loader->alarms_more[at];
        source_error(more->suppressed_source, more->suppressed_by,
                     "suppression goes in a circle from '%s' over '%s' back to it: none of them would be told", alarm_path(loader, at, first),
                     alarm_path(loader, more->suppressor, second));
    }
}

void load_suppression(struct loader *loader) {
    for (uint32_t i = 0; i < loader->alarms_count; i++) {
        loader->alarms_more[i].suppressor = NAMES_NONE;
        if (loader->alarms_more[i].suppressed_by && !loader->alarms_more[i].removed)
            resolve(loader, i);
    }
    refuse_circles(loader);
}
