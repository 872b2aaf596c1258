/* SPDX-License-Identifier: Apache-2.0 */
/* One profile file to one struct profile. A profile is checked as strictly as the site's own file. */
#include "config/profile.h"

#include <string.h>

#include "base/check.h"
#include "config/loader.h"
#include "config/scalar.h"

static void read_setup(const struct source *source, const struct node *root, struct arena *arena, struct profile *profile) {
    static const struct schema_key number = {.name = "number", .type = SCHEMA_INTEGER, .max = 65535};
    const struct node *list = schema_member(&schema_profile, root, "setup");
    if (!list || !list->count)
        return;
    struct setup_write *setup = arena_take(arena, list->count, sizeof(*setup));
    for (const struct node *node = list->first; node; node = node->next) {
        const struct node *table = node_get(node, "write"), *address = node_get(node, "address"), *value = node_get(node, "value");
        if (!value && node->kind == NODE_MAP)
            source_error(source, node, "'value' is missing: what is written at the start");
        if (!table || !address || !value || !schema_scalar_ok(&number, address, NULL, 0) || !schema_scalar_ok(&number, value, NULL, 0))
            continue;
        uint64_t at = 0, raw = 0;
        if (!scalar_unsigned(address->text, &at) || !scalar_unsigned(value->text, &raw))
            continue;
        struct setup_write *write = &setup[profile->setup_count++];
        *write = (struct setup_write){.address = (uint16_t)at, .value = (uint16_t)raw, .coil = strcmp(table->text, "coil") == 0};
        if (write->coil && raw > 1 && raw != 0xFF00)
            source_error(source, value, "'value' is %s, but a coil is written 0, 1 or 0xFF00", QUOTE(value->text));
    }
    profile->setup = setup;
}

/* What needs more of a site than one device of it. */
static bool refuse_in_profile(const struct source *source, const struct node *node) {
    static const char *const keys[] = {"all", "any", "not", "device", "suppressed_by", "shelve", "rule_set"};
    bool ok = true;
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        if (node_get(node, keys[i])) {
            source_error(source, node_get(node, keys[i])->key, "'%s' is for a site's own file: a profile knows one device only", keys[i]);
            ok = false;
        }
    return ok;
}

static void read_alarm(const struct source *source, const struct node *node, struct arena *arena, struct profile *profile) {
    char text[NEAREST_SIZE];
    if (!refuse_in_profile(source, node))
        return;
    const struct node *name = schema_member(&schema_alarm, node, "point");
    if (!name) {
        if (!node_get(node, "point"))
            source_error(source, node_place(node), "'point' is missing: the name of one of the profile's points");
        return;
    }
    uint16_t point = points_find(profile->points, profile->points_count, name->text);
    if (point == CONFIG_NONE) {
        struct nearest nearest;
        nearest_init(&nearest, name->text);
        points_nearest(&nearest, profile->points, profile->points_count);
        source_error(source, name, "the profile has no point '%s'%s", QUOTE(name->text), nearest_text(&nearest, text));
        return;
    }
    if (node_get(node, "remove"))
        source_error(source, node_get(node, "remove")->key, "'remove' is for a site's own file: leave the alarm out instead");
    if (strcmp(node->key->text, "communication") == 0)
        source_error(source, node->key, "the alarm name 'communication' is taken: every device has one");
    struct config_alarm *alarm = &profile->alarms[profile->alarms_count];
    *alarm = (struct config_alarm){.name = loader_keep(arena, node->key->text), .point = point};
    alarm_defaults(alarm);
    struct point watched = profile->points[point];
    bool rate = limit_rate(node) != NULL;
    if (rate && (watched.type == TYPE_STRING || watched.type == TYPE_BIT || watched.labels_count)) {
        source_error(source, limit_rate(node)->key, "the point '%s' is no amount: it has no rate", watched.name);
        return;
    }
    if (rate)
        watched = derived_rate_point(&profile->points[point], arena);
    profile->alarms_rate[profile->alarms_count] = rate;
    if (alarm_read(source, node, &watched, true, arena, alarm))
        profile->alarms_count++;
}

static void read_alarms(const struct source *source, const struct node *root, struct arena *arena, struct profile *profile) {
    const struct node *map = schema_member(&schema_profile, root, "alarms");
    if (!map || !map->count)
        return;
    uint32_t most = map->count < POINTS_PER_DEVICE_MAX ? map->count : POINTS_PER_DEVICE_MAX;
    profile->alarms = arena_take(arena, most, sizeof(*profile->alarms));
    profile->alarms_rate = arena_take(arena, most, sizeof(*profile->alarms_rate));
    for (const struct node *node = map->first; node && profile->alarms_count < most; node = node->next)
        if (node->kind == NODE_MAP)
            read_alarm(source, node, arena, profile);
}

static void read_register(const struct node *root, const char *name, struct profile_register *ret_register) {
    static const struct schema_key number = {.name = "number", .type = SCHEMA_INTEGER, .max = 65535};
    const struct node *map = schema_member(&schema_profile, root, name);
    const struct node *table = node_get(map, "write"), *address = node_get(map, "address");
    uint64_t at;
    if (!table || !address || !schema_scalar_ok(&number, address, NULL, 0) || !scalar_unsigned(address->text, &at))
        return;
    *ret_register = (struct profile_register){.known = true, .coil = strcmp(table->text, "coil") == 0, .address = (uint16_t)at};
}

static void read_bauds(const struct source *source, const struct node *root, struct profile *profile) {
    const struct node *codes = node_get(schema_member(&schema_profile, root, "baud_register"), "codes");
    for (const struct node *node = codes ? codes->first : NULL; node; node = node->next) {
        uint64_t baud, code;
        if (!scalar_unsigned(node->key->text, &baud) || !scalar_unsigned(node->text, &code))
            continue; /* told by the schema */
        if (profile->bauds_count == PROFILE_BAUDS_MAX) {
            source_error(source, node->key, "a device has at most %d speeds", PROFILE_BAUDS_MAX);
            return;
        }
        profile->bauds[profile->bauds_count++] = (struct profile_baud){(uint32_t)baud, (uint16_t)code};
    }
}

static void read_serial(const struct source *source, const struct node *root, struct profile *profile) {
    const struct node *serial = schema_member(&schema_profile, root, "serial");
    const struct node *baud = node_get(serial, "baud"), *parity = node_get(serial, "parity"), *stop_bits = node_get(serial, "stop_bits"),
                      *unit_id = node_get(serial, "unit_id");
    uint64_t number;
    unsigned word;
    if (baud && scalar_unsigned(baud->text, &number))
        profile->factory_baud = (uint32_t)number;
    if (parity && scalar_word(parity->text, strlen(parity->text), "none|even|odd", &word))
        profile->factory_parity = (enum bus_parity)word;
    profile->factory_stop_bits = stop_bits && scalar_unsigned(stop_bits->text, &number) && number == 2 ? 2 : 1;
    profile->factory_unit_id = unit_id && scalar_unsigned(unit_id->text, &number) && number <= 255 ? (uint8_t)number : 1;
    read_register(root, "address_register", &profile->address_register);
    read_register(root, "baud_register", &profile->baud_register);
    read_bauds(source, root, profile);
}

static struct profile *profile_read(const struct source *source, const char *name, struct arena *arena) {
    const struct node *root = source->root;
    struct profile *profile = arena_take(arena, 1, sizeof(*profile));
    const struct node *own_name = schema_member(&schema_profile, root, "profile");
    if (own_name && strcmp(own_name->text, name) != 0)
        source_error(source, own_name, "the profile calls itself '%s', but its file is %s.yaml; both must be the same", QUOTE(own_name->text),
                     QUOTE(name));
    profile->name = loader_keep(arena, name);
    profile->path = loader_keep(arena, source->path);
    profile->manufacturer = loader_keep(arena, schema_text(&schema_profile, root, "manufacturer"));
    profile->model = loader_keep(arena, schema_text(&schema_profile, root, "model"));
    profile->source = loader_keep(arena, schema_text(&schema_profile, root, "source"));
    profile->confidence = (enum profile_confidence)schema_u64(&schema_profile, root, "confidence");
    profile->kind = (enum device_kind)schema_u64(&schema_profile, root, "kind");
    profile->registers_max = (uint16_t)schema_u64(&schema_profile, root, "registers_max");
    profile->timeout_ms = (uint32_t)schema_u64(&schema_profile, root, "timeout");
    profile->gaps = schema_u64(&schema_profile, root, "gaps") != 0;
    profile->hash = source->hash;
    read_serial(source, root, profile);
    read_setup(source, root, arena, profile);
    const struct node *points = schema_member(&schema_profile, root, "points");
    if (points) {
        points_read(source, points, arena, &profile->points, &profile->points_count);
        if (points->count == 0)
            source_error(source, node_place(points), "'points' is empty: a profile without points measures nothing");
        read_alarms(source, root, arena, profile);
    }
    return profile;
}

bool profile_baud_code(const struct profile *profile, uint32_t baud, uint16_t *ret_code) {
    for (unsigned i = 0; i < profile->bauds_count; i++)
        if (profile->bauds[i].baud == baud) {
            *ret_code = profile->bauds[i].code;
            return true;
        }
    return false;
}

enum err profile_load(const char *path, const char *name, struct arena *arena, struct diagnostics *diagnostics, struct profile **ret_profile) {
    struct arena scratch;
    unsigned errors = diagnostics->errors;
    arena_init(&scratch);
    struct source source = {.path = path, .diagnostics = diagnostics, .arena = &scratch};
    *ret_profile = NULL;
    yaml_read(&source);
    schema_check(&source, &schema_profile, source.root);
    if (source.complete && source.root && source.root->kind == NODE_MAP)
        *ret_profile = profile_read(&source, name, arena);
    arena_done(&scratch);
    return diagnostics->errors > errors ? ERR_INVALID : ERR_OK;
}
