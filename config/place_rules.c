/* SPDX-License-Identifier: Apache-2.0 */
/* Which ready rules a device gets, and what is not watched because something is missing.
 *
 *   A rule fits a device when its profile's kind and its role are among the rule's, and it has none of the `unless` points.
 *   It is used when the first point it needs is on the device itself, once for each channel that a '*' finds. The other points
 *   may be on another device of the place, when exactly one has them: the fan's meter and the purifier's need not be one.
 *   A point counts as there when the profile or the site has it, or a derived point of the rule file can be computed from
 *   points of the same device; such a point is written down when the first rule uses it, after what it is computed from.
 *
 * Guarantees: a rule is used whole or not at all; one that is not used leaves its reason for the checklist, at the device that
 * lacks something, else at the place; a place with `rules: false` gets none; a device without a profile has no kind and gets none. */
#include "config/place_rules.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

#define KINDS 4
#define DEPTH_MAX 5 /* place_rules_file.c has refused deeper ones */
#define WORDS_SIZE 320
#define RATED_MAX 100000 /* A; more is no branch of a building */

enum device_role { ROLE_DISTRIBUTION, ROLE_BRANCH, ROLE_SOCKET, ROLE_FAN, ROLE_PURIFIER, ROLE_NONE };

static const char *const role_words[] = {"distribution", "branch", "socket", "fan", "purifier"};
static const struct {
    const char *name, *zh, *en;
} device_kinds[] = {
    {"meter", "电表", "meter"},
    {"residual_current", "剩余电流监测", "residual current monitor"},
    {"temperature", "测温", "temperature probe"},
    {"environment", "温湿度", "ambient temperature sensor"},
    {"smoke", "烟感", "smoke detector"},
    {"gas", "可燃气体探测", "gas detector"},
    {"fume", "油烟监测", "fume monitor"},
    {"relay", "继电器", "relay"},
    {"breaker", "智能断路器", "smart breaker"},
    {"input", "开关量输入", "digital input"},
    {"cold_store", "冷库温度计", "cold store thermometer"},
};

static enum device_role role_of(const struct loader *loader, uint16_t device) {
    const struct loader_device *more = &loader->devices_more[device];
    const struct node *written = schema_member(&schema_device, more->node, "role");
    if (written)
        return (enum device_role)schema_u64(&schema_device, more->node, "role");
    enum device_kind kind = more->profile->kind;
    if (kind == DEVICE_METER || kind == DEVICE_BREAKER)
        return ROLE_BRANCH;
    return kind == DEVICE_RESIDUAL_CURRENT ? ROLE_DISTRIBUTION : ROLE_NONE;
}

static bool lists(const struct node *list, const char *word) {
    for (const struct node *node = list ? list->first : NULL; node; node = node->next)
        if (strcmp(node->text, word) == 0)
            return true;
    return false;
}

static bool kind_fits(const struct loader *loader, const struct node *rule, uint16_t device) {
    const struct profile *profile = loader->devices_more[device].profile;
    return profile && lists(schema_member(&schema_rule_for, node_get(rule, "for"), "devices"), device_kinds[profile->kind].name);
}

static bool role_fits(const struct loader *loader, const struct node *rule, uint16_t device) {
    const struct node *roles = schema_member(&schema_rule_for, node_get(rule, "for"), "roles");
    enum device_role role = role_of(loader, device);
    return !roles || (role != ROLE_NONE && lists(roles, role_words[role]));
}

static bool stoves_fit(const struct loader *loader, const struct node *rule, uint16_t device) {
    return !schema_u64(&schema_rule_for, node_get(rule, "for"), "stoves") || loader->places[loader->devices[device].place].stoves > 0;
}

/* The site's own derived points are keyed device/point. */
static bool site_derives(const struct loader *loader, uint16_t device, const char *name) {
    char key[2 * NAME_SIZE];
    snprintf(key, sizeof(key), "%s/%s", loader->devices[device].spec.name, name);
    return node_get(node_get(loader->site.root, "derived"), key) != NULL;
}

static bool provides(const struct loader *loader, const struct rule_set *set, uint16_t device, const char *name, const char *channel, unsigned depth);

static bool fits(const struct loader *loader, const struct rule_set *set, const struct node *rule, uint16_t device, unsigned depth) {
    const struct node *unless = schema_member(&schema_rule_for, node_get(rule, "for"), "unless");
    if (!kind_fits(loader, rule, device) || !role_fits(loader, rule, device) || !stoves_fit(loader, rule, device))
        return false;
    for (const struct node *node = unless ? unless->first : NULL; node; node = node->next)
        if (provides(loader, set, device, node->text, "", depth))
            return false;
    return true;
}

static bool is_channelled(const struct node *rule) {
    char name[NAME_SIZE];
    for (const struct node *need = rule_needs(rule)->first; need; need = need->next)
        if (rule_need_name(need, name))
            return true;
    return false;
}

/* Measured by the device, or written by the site. */
static bool has_point(const struct loader *loader, uint16_t device, const char *name, const char *channel) {
    const struct device_spec *spec = &loader->devices[device].spec;
    char full[NAME_SIZE];
    if (snprintf(full, sizeof(full), "%s%s", name, channel) >= (int)sizeof(full))
        return false;
    return points_find(spec->points, spec->points_count, full) != CONFIG_NONE || site_derives(loader, device, full);
}

static bool provides(const struct loader *loader, const struct rule_set *set, uint16_t device, const char *name, const char *channel,
                     unsigned depth) {
    if (has_point(loader, device, name, channel))
        return true;
    const struct node *derived = node_get(set->derived, name);
    char input[NAME_SIZE];
    if (!derived || depth == DEPTH_MAX || (*channel && !is_channelled(derived)) || !fits(loader, set, derived, device, depth + 1))
        return false;
    for (const struct node *need = rule_needs(derived)->first; need; need = need->next) {
        bool channelled = rule_need_name(need, input);
        if (!provides(loader, set, device, input, channelled ? channel : "", depth + 1))
            return false;
    }
    return true;
}

/* What a device lacks for a point, down to what could be measured. */
static const char *missing_point(const struct loader *loader, const struct rule_set *set, uint16_t device, const char *name, unsigned depth) {
    const struct node *derived = node_get(set->derived, name);
    char input[NAME_SIZE];
    if (!derived || depth == DEPTH_MAX || !fits(loader, set, derived, device, depth + 1))
        return loader_keep(loader->arena, name);
    for (const struct node *need = rule_needs(derived)->first; need; need = need->next) {
        rule_need_name(need, input);
        if (!provides(loader, set, device, input, "", depth + 1))
            return missing_point(loader, set, device, input, depth + 1);
    }
    return loader_keep(loader->arena, name);
}

static void set_need(struct rule_use *use, uint16_t device, const struct node *need) {
    struct rule_need *found = &use->needs[use->needs_count++];
    char name[NAME_SIZE];
    found->channelled = rule_need_name(need, name);
    found->name = loader_keep(&use->loader->scratch, name);
    found->device = device;
    (void)snprintf(found->point, sizeof(found->point), "%.*s%s", NAME_SIZE - 1 - (int)strlen(use->channel), name,
                   found->channelled ? use->channel : "");
}

/* Writes a point of the rule file down, what it is computed from first. */
static void demand(struct loader *loader, const struct rule_set *set, uint16_t device, const char *name, const char *channel) {
    if (has_point(loader, device, name, channel))
        return;
    struct rule_use use = {.loader = loader, .set = set, .rule = node_get(set->derived, name), .device = device, .channel = channel};
    CHECK(use.rule);
    for (const struct node *need = rule_needs(use.rule)->first; need; need = need->next) {
        set_need(&use, device, need);
        const struct rule_need *found = &use.needs[use.needs_count - 1];
        demand(loader, set, device, found->name, found->channelled ? channel : "");
    }
    loader->devices_more[device].rule_source = &set->source;
    rule_write_derived(&use);
}

/* ---- what is not watched ---- */

struct unwatched {
    struct config_unwatched *items;
    uint16_t count;
};

static void unwatched_put(const struct loader *loader, struct unwatched *unwatched, uint16_t place, uint16_t device, const char *const what[2],
                          const char *zh, const char *en) {
    if (unwatched->count == UNWATCHED_MAX)
        return;
    unwatched->items[unwatched->count++] = (struct config_unwatched){.place = place,
                                                                     .device = device,
                                                                     .what_zh = loader_keep(loader->arena, what[0]),
                                                                     .what_en = loader_keep(loader->arena, what[1]),
                                                                     .missing_zh = loader_keep(loader->arena, zh),
                                                                     .missing_en = loader_keep(loader->arena, en)};
}

static void unwatched_add(const struct loader *loader, struct unwatched *unwatched, uint16_t place, uint16_t device, const struct node *rule,
                          const char *zh, const char *en) {
    if (!schema_u64(&schema_rule, rule, "optional"))
        unwatched_put(loader, unwatched, place, device, (const char *const[]){rule_title(rule, "zh"), rule_title(rule, "en")}, zh, en);
}

static void tell_point(const struct loader *loader, struct unwatched *unwatched, uint16_t device, const struct node *rule, const char *point) {
    char zh[WORDS_SIZE], en[WORDS_SIZE];
    snprintf(zh, sizeof(zh), "没有测点 %s", point);
    snprintf(en, sizeof(en), "there is no point '%s'", point);
    unwatched_add(loader, unwatched, loader->devices[device].place, device, rule, zh, en);
}

static void tell_rated(const struct loader *loader, struct unwatched *unwatched, uint16_t device, const struct node *rule) {
    unwatched_add(loader, unwatched, loader->devices[device].place, device, rule,
                  "没有写额定电流，请在该设备加 rated_current，如 rated_current: 10 A",
                  "its rated current is not known; give the device rated_current, such as rated_current: 10 A");
}

static void tell_unit(struct loader *loader, struct unwatched *unwatched, uint16_t device, const struct node *rule, const char *point) {
    char zh[WORDS_SIZE], en[WORDS_SIZE];
    snprintf(zh, sizeof(zh), "测点 %s 的单位与规则不同，请在设备模板中用 scale 换算", point);
    snprintf(en, sizeof(en), "the point '%s' has another unit than the rule; convert it with 'scale' in the profile", point);
    unwatched_add(loader, unwatched, loader->devices[device].place, device, rule, zh, en);
    source_warning(&loader->site, loader->devices_more[device].node->key, "the ready rule '%s' is not used for '%s': %s", rule->key->text,
                   loader->devices[device].spec.name, en);
}

/* No device of the place got the rule, and none was told to lack something. */
static void tell_place(const struct loader *loader, const struct rule_set *set, struct unwatched *unwatched, uint16_t place,
                       const struct node *rule) {
    const struct node *which = node_get(rule, "for"), *roles = schema_member(&schema_rule_for, which, "roles");
    const char *first = schema_member(&schema_rule_for, which, "devices")->first->text;
    char zh[WORDS_SIZE], en[WORDS_SIZE], need[NAME_SIZE];
    bool kind = false;
    uint16_t fitting = CONFIG_NONE;
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        if (loader->devices[i].place != place || !kind_fits(loader, rule, i))
            continue;
        kind = true;
        if (fitting == CONFIG_NONE && role_fits(loader, rule, i))
            fitting = i;
    }
    rule_need_name(rule_needs(rule)->first, need);
    if (!kind) {
        unsigned i = 0;
        while (strcmp(device_kinds[i].name, first) != 0)
            i++;
        snprintf(zh, sizeof(zh), "场所内没有%s设备", device_kinds[i].zh);
        snprintf(en, sizeof(en), "the place has no %s", device_kinds[i].en);
    } else if (fitting == CONFIG_NONE) {
        snprintf(zh, sizeof(zh), "没有设备写明 role: %s", roles->first->text);
        snprintf(en, sizeof(en), "no device says role: %s", roles->first->text);
    } else if (!stoves_fit(loader, rule, fitting)) {
        snprintf(zh, sizeof(zh), "场所没有写灶头数 stoves");
        snprintf(en, sizeof(en), "the place does not say how many stoves it has");
    } else if (!fits(loader, set, rule, fitting, 0)) {
        return; /* another rule is for what the device has */
    } else {
        tell_point(loader, unwatched, fitting, rule, missing_point(loader, set, fitting, need, 0));
        return;
    }
    unwatched_add(loader, unwatched, place, CONFIG_NONE, rule, zh, en);
}

/* ---- one rule on one device ---- */

/* Where a further point is: on the device, else on the only other one of the place that has it. */
static uint16_t find_provider(const struct loader *loader, const struct rule_set *set, uint16_t device, const char *name, const char *channel) {
    uint16_t found = CONFIG_NONE;
    if (provides(loader, set, device, name, channel, 0))
        return device;
    if (*channel)
        return CONFIG_NONE;
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        if (i == device || loader->devices[i].place != loader->devices[device].place || !loader->devices_more[i].profile ||
            !provides(loader, set, i, name, "", 0))
            continue;
        if (found != CONFIG_NONE)
            return CONFIG_NONE;
        found = i;
    }
    return found;
}

static bool has_rated_current(const struct loader *loader, uint16_t device) {
    double amperes = loader->devices[device].rated_current;
    return amperes > 0 && amperes <= RATED_MAX;
}

/* True when something came of it: it is used, or it is told why not. */
static bool use_channel(struct loader *loader, const struct rule_set *set, const struct node *rule, uint16_t device, const char *channel,
                        struct unwatched *unwatched) {
    struct rule_use use = {.loader = loader, .set = set, .rule = rule, .device = device, .channel = channel};
    const char *point = NULL;
    char name[NAME_SIZE];
    for (const struct node *need = rule_needs(rule)->first; need; need = need->next) {
        bool first = need == rule_needs(rule)->first, channelled = rule_need_name(need, name);
        const char *own = channelled ? channel : "";
        uint16_t at = first ? (provides(loader, set, device, name, own, 0) ? device : CONFIG_NONE) : find_provider(loader, set, device, name, own);
        if (at == CONFIG_NONE && first)
            return false;
        if (at == CONFIG_NONE) {
            tell_point(loader, unwatched, device, rule, missing_point(loader, set, device, name, 0));
            return true;
        }
        set_need(&use, at, need);
    }
    if (node_get(rule, "rated") && !has_rated_current(loader, device)) {
        tell_rated(loader, unwatched, device, rule);
        return true;
    }
    if (!rule_units_agree(&use, &point)) {
        tell_unit(loader, unwatched, device, rule, point);
        return true;
    }
    for (unsigned i = 0; i < use.needs_count; i++)
        demand(loader, set, use.needs[i].device, use.needs[i].name, use.needs[i].channelled ? channel : "");
    loader->devices_more[device].rule_source = &set->source;
    rule_write_alarm(&use);
    return true;
}

/* "temperature-12" -> "-12", "current-l1" -> "-l1", "current-neutral" -> NULL. */
static const char *channel_of(const char *point) {
    const char *dash = strrchr(point, '-');
    if (!dash)
        return NULL;
    const char *digits = dash + 1 + (dash[1] == 'l');
    return *digits && strspn(digits, "0123456789") == strlen(digits) ? dash : NULL;
}

static bool use_rule(struct loader *loader, const struct rule_set *set, const struct node *rule, uint16_t device, struct unwatched *unwatched) {
    const struct device_spec *spec = &loader->devices[device].spec;
    const char *seen[POINTS_PER_DEVICE_MAX];
    unsigned count = 0;
    bool used;
    if (!fits(loader, set, rule, device, 0))
        return false;
    used = use_channel(loader, set, rule, device, "", unwatched);
    for (uint16_t i = 0; i < spec->points_count && is_channelled(rule); i++) {
        const char *channel = channel_of(spec->points[i].name);
        bool fresh = channel != NULL;
        for (unsigned k = 0; fresh && k < count; k++)
            fresh = strcmp(seen[k], channel) != 0;
        if (!fresh)
            continue;
        seen[count++] = channel;
        used = use_channel(loader, set, rule, device, channel, unwatched) || used;
    }
    return used;
}

static void use_rules(struct loader *loader, const struct rule_set *set, uint16_t place, struct unwatched *unwatched) {
    for (const struct node *rule = set->rules->first; rule; rule = rule->next) {
        bool used = false;
        for (uint16_t i = 0; i < loader->config->devices_count; i++)
            if (loader->devices[i].place == place && loader->devices_more[i].profile && loader->devices_more[i].points)
                used = use_rule(loader, set, rule, i, unwatched) || used;
        if (!used)
            tell_place(loader, set, unwatched, place, rule);
    }
}

/* Where no rule is looked at, that is told as well. */
static void tell_without_rules(const struct loader *loader, struct unwatched *unwatched, uint16_t place, bool wanted) {
    static const char *const what[] = {"现成规则", "the ready rules"};
    if (!wanted)
        unwatched_put(loader, unwatched, place, CONFIG_NONE, what, "本场所写了 rules: false", "the place says rules: false");
    else
        unwatched_put(loader, unwatched, place, CONFIG_NONE, what, "没有找到规则文件", "there is no file of rules for its kind");
}

static void tell_without_profile(const struct loader *loader, struct unwatched *unwatched, uint16_t place) {
    static const char *const what[] = {"现成规则", "the ready rules"};
    for (uint16_t i = 0; i < loader->config->devices_count; i++)
        if (loader->devices[i].place == place && !loader->devices_more[i].profile && !loader->devices_more[i].broken)
            unwatched_put(loader, unwatched, place, i, what, "没有用设备模板，无法识别设备类别", "it has no profile, so that its kind is not known");
}

void load_place_rules(struct loader *loader) {
    struct rule_set *sets = arena_take(&loader->scratch, KINDS, sizeof(*sets));
    struct unwatched unwatched = {.items = arena_take(&loader->scratch, UNWATCHED_MAX, sizeof(*unwatched.items))};
    uint16_t count;
    const struct node *node = loader_section(loader, "places", PLACES_MAX, &count);
    for (uint16_t place = 0; place < count; place++, node = node->next) {
        struct rule_set *set = &sets[loader->places[place].kind];
        bool wanted = schema_u64(&schema_place, node, "rules") != 0;
        if (wanted && !set->read)
            rule_set_read(loader, loader->places[place].kind, set);
        if (wanted && set->rules) {
            use_rules(loader, set, place, &unwatched);
            tell_without_profile(loader, &unwatched, place);
        } else {
            tell_without_rules(loader, &unwatched, place, wanted);
        }
    }
    struct config_unwatched *items = arena_take(loader->arena, unwatched.count + 1u, sizeof(*items));
    memcpy(items, unwatched.items, unwatched.count * sizeof(*items));
    loader->config->unwatched = items;
    loader->config->unwatched_count = unwatched.count;
}
