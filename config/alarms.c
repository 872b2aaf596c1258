/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of one alarm, in a profile or rule set, new on a site, or laid over one that is there already. The limit is read in
 * alarm_limit.c, several conditions in conditions.c, what people are told beside it in alarm_keys.c. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "config/scalar.h"

void alarm_defaults(struct config_alarm *alarm) {
    alarm->of_n = alarm->of_m = 1;
    alarm->suppressed_by = CONFIG_NONE;
    alarm->action = CONFIG_NONE;
    alarm->remedy_zh = alarm->remedy_en = alarm->basis_zh = alarm->basis_en = alarm->rule_set = "";
    alarm->confidence = CONFIDENCE_UNCONFIRMED;
    alarm->class = (enum alarm_class)schema_u64(&schema_alarm, NULL, "class");
    alarm->priority = (enum priority)schema_u64(&schema_alarm, NULL, "priority");
}

static const struct node *member(const struct node *map, const char *name) {
    return schema_member(&schema_alarm, map, name);
}

static bool read_of(const struct source *source, const struct node *map, struct config_alarm *alarm) {
    const struct node *of = member(map, "of");
    uint64_t n = 0, m = 0;
    if (!of || !scalar_unsigned(of->first->text, &n) || !scalar_unsigned(of->last->text, &m))
        return !node_get(map, "of");
    if (n > m) {
        source_error(source, of, "'of' is [%u, %u]: %u of the last %u readings can never be; the first must not be above the second", (unsigned)n,
                     (unsigned)m, (unsigned)n, (unsigned)m);
        return false;
    }
    alarm->of_n = (uint8_t)n;
    alarm->of_m = (uint8_t)m;
    return true;
}

static void read_plain(const struct node *map, struct arena *arena, struct config_alarm *alarm) {
    if (member(map, "on_delay"))
        alarm->on_delay_ms = (uint32_t)schema_u64(&schema_alarm, map, "on_delay");
    if (member(map, "off_delay"))
        alarm->off_delay_ms = (uint32_t)schema_u64(&schema_alarm, map, "off_delay");
    if (member(map, "latch"))
        alarm->latch = schema_u64(&schema_alarm, map, "latch") != 0;
    if (member(map, "class"))
        alarm->class = (enum alarm_class)schema_u64(&schema_alarm, map, "class");
    if (member(map, "priority"))
        alarm->priority = (enum priority)schema_u64(&schema_alarm, map, "priority");
    if (member(map, "zh"))
        alarm->zh = loader_keep(arena, schema_text(&schema_alarm, map, "zh"));
    if (member(map, "en"))
        alarm->en = loader_keep(arena, schema_text(&schema_alarm, map, "en"));
}

/* An alarm without a point: only what does not depend on a value may be changed. */
static bool pointless_read(const struct source *source, const struct node *map, const struct config_alarm *alarm) {
    static const char *const words[] = {"above", "below", "is", "rising", "falling", "deadband", "of", "all", "any", "not"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        const struct node *node = node_get(map, words[i]);
        if (!node)
            continue;
        if (alarm->condition == CONDITION_COMMUNICATION)
            source_error(source, node_place(node), "'%s' has no meaning for a communication alarm: it is about answers, not values", words[i]);
        else
            source_error(source, node_place(node), "'%s' has no meaning for the alarm of an action: it is about writing, not values", words[i]);
        return false;
    }
    return true;
}

bool alarm_read(const struct source *source, const struct node *map, const struct point *point, bool fresh, struct arena *arena,
                struct config_alarm *alarm) {
    bool ok = true;
    if (point) {
        ok = limit_read(source, map, point, fresh, arena, alarm);
        ok = read_of(source, map, alarm) && ok;
    } else if (alarm->condition != CONDITION_COMPOSITE) {
        ok = pointless_read(source, map, alarm);
    }
    read_plain(map, arena, alarm);
    return alarm_keys_read(source, map, arena, alarm) && ok;
}
