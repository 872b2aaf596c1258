/* SPDX-License-Identifier: Apache-2.0 */
/* One file of ready rules: where it is, and whether it keeps its own promises. What the table of keys cannot say is checked
 * here: that a rule speaks only of points it needs, that its alarm says in both languages what is wrong, what to do, on what
 * ground and how sure that is, and that a rule it refers to exists. A file with an error brings no rules at all. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fnv.h"
#include "base/text.h"
#include "config/place_rules.h"
#include "config/scalar.h"

#define PATH_SIZE 4096

static const char *const kind_words[] = {"charging", "kitchen", "cold_store", "other"};

bool rule_need_name(const struct node *need, char ret_name[NAME_SIZE]) {
    size_t length = strlen(need->text);
    bool channelled = length > 0 && need->text[length - 1] == '*';
    (void)text_copy(ret_name, NAME_SIZE, need->text);
    if (channelled && length < NAME_SIZE)
        ret_name[length - 1] = '\0';
    return channelled;
}

const struct node *rule_needs(const struct node *rule) {
    return schema_member(&schema_rule_for, node_get(rule, "for"), "needs");
}

const char *rule_title(const struct node *rule, const char *language) {
    const struct node *title = node_get(node_get(rule, "title"), language);
    return title ? title->text : rule->key->text;
}

static bool is_needed(const struct node *needs, const char *point) {
    char name[NAME_SIZE];
    for (const struct node *need = needs->first; need; need = need->next) {
        rule_need_name(need, name);
        if (strcmp(name, point) == 0)
            return true;
    }
    return false;
}

static void check_point(const struct source *source, const struct node *needs, const struct node *point) {
    if (point->kind != NODE_SCALAR)
        source_error(source, point, "this must be the name of a point that the rule needs");
    else if (!is_needed(needs, point->text))
        source_error(source, point, "'%s' is not among the points that the rule needs: name it there as well", QUOTE(point->text));
}

/* Every `point:` of an alarm, however deep. */
static void check_points(const struct source *source, const struct node *needs, const struct node *from) {
    for (const struct node *member = from->first; member; member = member->next) {
        if (member->key && strcmp(member->key->text, "point") == 0)
            check_point(source, needs, member);
        else
            check_points(source, needs, member);
    }
}

/* The first member of a derived point says what it is computed from. */
static void check_derived(const struct source *source, const struct node *derived) {
    const struct node *needs = rule_needs(derived), *point = node_get(derived, "point");
    if (!needs || !point)
        return; /* told by the table of keys */
    if (point->kind != NODE_MAP || !point->first) {
        source_error(source, point, "'point' must be a map that begins with how it is computed: {mean: fume, over: 10min}");
        return;
    }
    if (point->first->kind == NODE_SCALAR)
        check_point(source, needs, point->first);
    for (const struct node *input = point->first->first; input; input = input->next)
        check_point(source, needs, input);
}

static void check_needs(const struct source *source, const struct node *needs) {
    char name[NAME_SIZE];
    for (const struct node *need = needs->first; need; need = need->next) {
        rule_need_name(need, name);
        if (!text_is_name(name))
            source_error(source, need, "'%s' must be the name of a point, with a '*' behind it when a channel may follow", QUOTE(need->text));
    }
}

static void check_words(const struct source *source, const struct node *alarm, const char *name) {
    const struct node *words = node_get(alarm, name);
    if (words && (words->kind != NODE_MAP || !node_get(words, "zh") || !node_get(words, "en")))
        source_error(source, words, "'%s' must be {zh: ..., en: ...}", name);
}

static void check_alarm(const struct source *source, const struct node *rules, const struct node *rule, const struct node *needs) {
    static const char *const required[] = {"zh", "en", "class", "priority", "remedy", "basis", "confidence"};
    const struct node *alarm = node_get(rule, "alarm");
    if (!alarm)
        return;
    if (alarm->kind != NODE_MAP) {
        source_error(source, alarm, "'alarm' must be a map of keys, as under 'alarms:' of a site");
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(required); i++)
        if (!node_get(alarm, required[i]))
            source_error(source, node_place(alarm), "the alarm of a ready rule needs '%s': a person must know what, why and what to do", required[i]);
    check_words(source, alarm, "remedy");
    check_words(source, alarm, "basis");
    if (needs)
        check_points(source, needs, alarm);
    const struct node *suppressed = node_get(alarm, "suppressed_by");
    if (suppressed && !node_get(rules, suppressed->text))
        source_error(source, suppressed, "there is no rule '%s' in this file", QUOTE(suppressed->text));
}

/* How many steps from a derived point down to what a device measures; a circle never ends. */
#define DERIVED_DEPTH_MAX 4

static bool ends(const struct node *derived, const char *name, unsigned depth) {
    const struct node *needs = rule_needs(node_get(derived, name));
    char input[NAME_SIZE];
    if (!needs)
        return true;
    if (depth == DERIVED_DEPTH_MAX)
        return false;
    for (const struct node *need = needs->first; need; need = need->next) {
        rule_need_name(need, input);
        if (!ends(derived, input, depth + 1))
            return false;
    }
    return true;
}

static void check_file(const struct source *source, const char *kind) {
    const struct node *place = schema_member(&schema_rules, source->root, "place");
    const struct node *derived = schema_member(&schema_rules, source->root, "derived"), *rules = schema_member(&schema_rules, source->root, "rules");
    if (place && strcmp(place->text, kind) != 0)
        source_error(source, place, "the rules are for '%s', but their file is %s.yaml; both must be the same", QUOTE(place->text), kind);
    for (const struct node *node = derived ? derived->first : NULL; node; node = node->next) {
        if (rule_needs(node))
            check_needs(source, rule_needs(node));
        check_derived(source, node);
        if (!ends(derived, node->key->text, 0))
            source_error(source, node->key, "'%s' is computed from itself, or over more than %d steps", QUOTE(node->key->text), DERIVED_DEPTH_MAX);
    }
    for (const struct node *node = rules ? rules->first : NULL; node; node = node->next) {
        const struct node *needs = rule_needs(node);
        if (needs)
            check_needs(source, needs);
        check_alarm(source, rules, node, needs);
    }
}

/* A site's own rules stand in the folder `rules` below its own profiles. */
static bool find_file(const struct loader *loader, const char *kind, char path[PATH_SIZE]) {
    for (size_t i = 0; i < ARRAY_COUNT(loader->profiles_dirs); i++) {
        if (!loader->profiles_dirs[i])
            continue;
        int length = snprintf(path, PATH_SIZE, "%s/rules/%s.yaml", loader->profiles_dirs[i], kind);
        if (length < PATH_SIZE && access(path, F_OK) == 0)
            return true;
    }
    if (loader->copy)
        return false;
    int length = snprintf(path, PATH_SIZE, "%s/%s.yaml", config_rules_dir(), kind);
    return length < PATH_SIZE && access(path, F_OK) == 0;
}

void rule_set_read(struct loader *loader, enum place_kind kind, struct rule_set *set) {
    char path[PATH_SIZE];
    set->read = true;
    set->kind = kind_words[kind];
    if (!find_file(loader, set->kind, path))
        return;
    set->source = (struct source){.path = loader_keep(loader->arena, path), .diagnostics = loader->site.diagnostics, .arena = &loader->scratch};
    unsigned errors = loader->site.diagnostics->errors;
    yaml_read(&set->source);
    loader_file(loader, CONFIG_FILE_RULES, set->kind, path, set->source.hash);
    schema_check(&set->source, &schema_rules, set->source.root);
    if (set->source.complete && set->source.root && set->source.root->kind == NODE_MAP)
        check_file(&set->source, set->kind);
    loader->rules_hash = fnv_add(loader->rules_hash ? loader->rules_hash : FNV_START, &set->source.hash, sizeof(set->source.hash));
    if (loader->site.diagnostics->errors > errors || !set->source.complete)
        return;
    set->derived = schema_member(&schema_rules, set->source.root, "derived");
    set->rules = schema_member(&schema_rules, set->source.root, "rules");
}
