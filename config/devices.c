/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: each takes its points from a profile, which is read when the first device asks for it, or lists them itself. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "config/loader.h"
#include "config/scalar.h"

#define PATH_SIZE 4096
#define TIMEOUT_DEFAULT_MS 500

bool loader_split(const char *path, char ret_first[NAME_SIZE], const char **ret_rest) {
    const char *slash = strchr(path, '/');
    if (!slash || slash - path >= NAME_SIZE)
        return false;
    memcpy(ret_first, path, (size_t)(slash - path));
    ret_first[slash - path] = '\0';
    *ret_rest = slash + 1;
    return true;
}

static void try_all(const struct loader *loader, enum loader_kind kind, struct nearest *nearest) {
    const struct config *config = loader->config;
    if (kind == LOADER_PLACE)
        for (uint16_t i = 0; i < config->places_count; i++)
            nearest_try(nearest, config->places[i].key);
    else if (kind == LOADER_BUS)
        for (uint16_t i = 0; i < config->buses_count; i++)
            nearest_try(nearest, config->buses[i].name);
    else
        for (uint16_t i = 0; i < config->devices_count; i++)
            nearest_try(nearest, config->devices[i].spec.name);
}

uint32_t loader_find(const struct loader *loader, const struct source *source, enum loader_kind kind, const struct node *node, const char *name) {
    static const char *const words[] = {"place", "bus", "device"}, *const sections[] = {"places", "buses", "devices"};
    const struct names *names = kind == LOADER_PLACE ? &loader->places_names : kind == LOADER_BUS ? &loader->buses_names : &loader->devices_names;
    uint32_t index = names_find(names, name);
    if (index != NAMES_NONE || !loader->site.complete)
        return index;
    char text[NEAREST_SIZE];
    struct nearest nearest;
    nearest_init(&nearest, name);
    if (source_has_room(&loader->site))
        try_all(loader, kind, &nearest);
    source_error(source, node, "there is no %s '%s'%s; what exists stands under '%s:'", words[kind], QUOTE(name), nearest_text(&nearest, text),
                 sections[kind]);
    return NAMES_NONE;
}

bool loader_find_point(const struct loader *loader, const struct source *source, const struct node *node, uint16_t *ret_device, uint16_t *ret_point) {
    char device[NAME_SIZE], text[NEAREST_SIZE];
    const char *name;
    if (!loader_split(node->text, device, &name)) {
        source_error(source, node, "'%s' is '%s', but must be DEVICE/POINT", node->key ? node->key->text : "input", QUOTE(node->text));
        return false;
    }
    uint32_t index = loader_find(loader, source, LOADER_DEVICE, node, device);
    if (index == NAMES_NONE)
        return false;
    const struct device_spec *spec = &loader->devices[index].spec;
    uint16_t point = points_find(spec->points, spec->points_count, name);
    *ret_device = (uint16_t)index;
    *ret_point = point;
    if (point != CONFIG_NONE) {
        const struct loader_derived *derived = derived_of(loader, *ret_device, point);
        return !derived || !derived->broken;
    }
    if (loader->devices_more[index].broken)
        return false;
    struct nearest nearest;
    nearest_init(&nearest, name);
    points_nearest(&nearest, spec->points, spec->points_count);
    source_error(source, node, "the device '%s' has no point '%s'%s", device, QUOTE(name), nearest_text(&nearest, text));
    return false;
}

static void nearest_profile(const char *folder, struct nearest *nearest, char best[NAME_SIZE]) {
    DIR *directory = folder ? opendir(folder) : NULL;
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char name[NAME_SIZE];
        size_t length = strlen(entry->d_name);
        if (length < 6 || length - 5 >= sizeof(name) || strcmp(entry->d_name + length - 5, ".yaml") != 0)
            continue;
        memcpy(name, entry->d_name, length - 5);
        name[length - 5] = '\0';
        unsigned before = nearest->distance;
        nearest_try(nearest, name);
        if (nearest->distance < before) {
            memcpy(best, name, sizeof(name));
            nearest->best = best;
        }
    }
    closedir(directory);
}

static bool profile_path(const struct loader *loader, const char *name, char path[PATH_SIZE]) {
    for (size_t i = 0; i < ARRAY_COUNT(loader->profiles_dirs); i++) {
        if (!loader->profiles_dirs[i])
            continue;
        int length = snprintf(path, PATH_SIZE, "%s/%s.yaml", loader->profiles_dirs[i], name);
        if (length < PATH_SIZE && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static const struct profile *find_profile(struct loader *loader, const struct node *node) {
    uint32_t index = names_find(&loader->profiles_names, node->text);
    if (index != NAMES_NONE)
        return loader->profiles[index];
    char path[PATH_SIZE], text[NEAREST_SIZE], best[NAME_SIZE];
    struct profile *profile = NULL;
    if (profile_path(loader, node->text, path)) {
        if (profile_load(path, node->text, loader->arena, loader->site.diagnostics, &profile) != ERR_OK)
            source_error(&loader->site, node, "the profile '%s' has errors of its own, see there", QUOTE(node->text));
        else
            loader_file(loader, CONFIG_FILE_PROFILE, node->text, path, profile->hash);
    } else {
        struct nearest nearest;
        nearest_init(&nearest, node->text);
        for (size_t i = 0; i < ARRAY_COUNT(loader->profiles_dirs); i++)
            nearest_profile(loader->profiles_dirs[i], &nearest, best);
        source_error(&loader->site, node, "there is no profile '%s'%s", QUOTE(node->text), nearest_text(&nearest, text));
    }
    if (profile && profile->confidence == CONFIDENCE_UNCONFIRMED)
        source_warning(&loader->site, node, "the register map of '%s' is not confirmed (source: %s): compare its values with the device's display",
                       profile->name, QUOTE(profile->source));
    loader->profiles[loader->profiles_count] = profile;
    names_add(&loader->profiles_names, loader_keep(&loader->scratch, node->text), loader->profiles_count++);
    return profile;
}

static void take_profile(struct loader *loader, const struct node *node, struct config_device *device, struct loader_device *more) {
    const struct profile *profile = find_profile(loader, node);
    more->profile = profile;
    more->broken = !profile;
    if (!profile)
        return;
    device->profile = profile->name;
    device->manufacturer = profile->manufacturer;
    device->model = profile->model;
    device->spec.registers_max = profile->registers_max;
    device->spec.timeout_ms = profile->timeout_ms;
    device->spec.gaps_allowed = profile->gaps;
    device->spec.setup = profile->setup;
    device->spec.setup_count = profile->setup_count;
    device->spec.points_count = profile->points_count;
    if (loader->config->points_count + profile->points_count > POINTS_MAX) {
        more->broken = true; /* told once, at the end of the section */
        return;
    }
    more->points = arena_take(loader->arena, profile->points_count + 1u, sizeof(*more->points));
    if (profile->points_count)
        memcpy(more->points, profile->points, profile->points_count * sizeof(*more->points));
}

static void read_every(const struct loader *loader, const struct node *map, struct config_device *device, struct loader_device *more) {
    const struct node *every = schema_member(&schema_device, map, "every");
    char text[NEAREST_SIZE];
    for (const struct node *node = every ? every->first : NULL; node; node = node->next) {
        uint16_t point = points_find(more->points, device->spec.points_count, node->key->text);
        uint64_t period_ms;
        if (!scalar_duration(node->text, &period_ms))
            continue;
        if (point != CONFIG_NONE) {
            more->points[point].every_ms = (uint32_t)period_ms;
        } else if (!more->broken) {
            struct nearest nearest;
            nearest_init(&nearest, node->key->text);
            points_nearest(&nearest, more->points, device->spec.points_count);
            source_error(&loader->site, node->key, "the device '%s' has no point '%s'%s", device->spec.name, QUOTE(node->key->text),
                         nearest_text(&nearest, text));
        }
    }
}

static void read_points(struct loader *loader, const struct node *map, struct config_device *device, struct loader_device *more) {
    const struct node *profile = node_get(map, "profile"), *points = node_get(map, "points");
    device->profile = device->manufacturer = device->model = "";
    device->spec.registers_max = REGISTERS_READ_MAX;
    device->spec.timeout_ms = TIMEOUT_DEFAULT_MS;
    device->spec.gaps_allowed = true;
    if (profile && points)
        source_error(&loader->site, points->key, "'profile' and 'points' cannot stand together: make a profile of your own, or leave it out");
    else if (!profile && !points && loader->site.complete && map->kind == NODE_MAP)
        source_error(&loader->site, node_place(map), "the device '%s' needs a profile, or points of its own", QUOTE(map->key->text));
    profile = schema_member(&schema_device, map, "profile");
    points = schema_member(&schema_device, map, "points");
    more->broken = (!profile && !points) || loader->config->points_count > POINTS_MAX;
    if (profile)
        take_profile(loader, profile, device, more);
    else if (points && !more->broken)
        more->broken = !points_read(&loader->site, points, loader->arena, &more->points, &device->spec.points_count);
    loader->config->points_count += device->spec.points_count;
    if (!more->points)
        device->spec.points_count = 0;
    device->spec.points = more->points;
    read_every(loader, map, device, more);
}

static void read_device(struct loader *loader, const struct node *map, uint16_t index) {
    struct config_device *device = &loader->devices[index];
    struct loader_device *more = &loader->devices_more[index];
    more->node = map;
    more->derived = NAMES_NONE;
    device->spec.name = loader_keep(loader->arena, map->key->text);
    device->spec.device = index;
    device->spec.unit_id = (uint8_t)schema_u64(&schema_device, map, "unit_id");
    device->location = loader_keep(loader->arena, schema_text(&schema_device, map, "location"));
    device->bus = device->place = CONFIG_NONE;
    const struct node *rated = schema_member(&schema_device, map, "rated_current");
    const char *unit;
    if (rated)
        CHECK(scalar_quantity(rated->text, &device->rated_current, &unit));
    const struct node *bus = schema_member(&schema_device, map, "bus"), *place = schema_member(&schema_device, map, "place");
    uint32_t found;
    if (bus && (found = loader_find(loader, &loader->site, LOADER_BUS, bus, bus->text)) != NAMES_NONE)
        device->bus = (uint16_t)found;
    if (place && (found = loader_find(loader, &loader->site, LOADER_PLACE, place, place->text)) != NAMES_NONE)
        device->place = (uint16_t)found;
    read_points(loader, map, device, more);
    if (schema_member(&schema_device, map, "timeout"))
        device->spec.timeout_ms = (uint32_t)schema_u64(&schema_device, map, "timeout");
    if (schema_member(&schema_device, map, "gaps"))
        device->spec.gaps_allowed = schema_u64(&schema_device, map, "gaps") != 0;
}

void load_devices(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "devices", DEVICES_MAX, &count);
    loader->devices = arena_take(loader->arena, count + 1u, sizeof(*loader->devices));
    loader->devices_more = arena_take(&loader->scratch, count + 1u, sizeof(*loader->devices_more));
    loader->profiles = arena_take(&loader->scratch, count + 1u, sizeof(struct profile *));
    names_init(&loader->devices_names, count, &loader->scratch);
    names_init(&loader->profiles_names, count, &loader->scratch);
    loader->config->devices = loader->devices;
    loader->config->devices_count = count;
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        read_device(loader, node, i);
        names_add(&loader->devices_names, loader->devices[i].spec.name, i);
        if (strcmp(loader->devices[i].spec.name, "gateway") == 0)
            source_error(&loader->site, node->key, "the name 'gateway' is taken: the gateway's own alarms have it; choose another");
    }
    if (loader->config->points_count > POINTS_MAX)
        source_error(&loader->site, node_get(loader->site.root, "devices")->key, "the devices have %u points together; at most %d are allowed",
                     (unsigned)loader->config->points_count, POINTS_MAX);
}
