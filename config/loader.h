/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the loader share. The road: yaml_read, schema_check, then the sections in the order in which they refer
 * to each other (gateway, places, buses, devices with their profiles, alarms, actions, uplinks, store), then the rules that
 * look at the whole. Every part goes on after an error, so that all errors are told at once; a broken part is remembered so
 * that its consequences are not told as well. Only load.c decides whether there is a configuration in the end. */
#ifndef YANHUO_LOADER_H
#define YANHUO_LOADER_H

#include "config/names.h"
#include "config/profile.h"
#include "config/schema.h"
#include "config/yaml.h"

struct loader_device {
    const struct node *node;
    const struct profile *profile;
    struct point *points;               /* the device's own, still to be completed */
    bool broken;                        /* its points are not known because of an error already told */
    uint32_t first_alarm, alarms_count; /* its profile's and its communication alarm */
    struct node *rule_derived, *rule_alarms; const struct source *rule_source; /* from the ready rules of its place */
};

struct loader_alarm {
    const struct source *source; /* where it can be complained about: NULL for one from a profile */
    const struct node *node;
    bool removed;
    uint32_t index; /* once the removed ones are gone */
};

struct loader {
    struct source site;
    unsigned errors_before; /* among the diagnostics when this loading began */
    struct arena *arena;    /* of the configuration */
    struct arena scratch;   /* of nodes and tables, gone after loading */
    const char *profiles_dirs[2];
    struct config *config;
    struct config_place *places;
    struct bus_spec *buses;
    struct config_device *devices;
    struct loader_device *devices_more;
    struct config_alarm *alarms;
    struct loader_alarm *alarms_more;
    uint32_t alarms_count, alarms_room;
    struct config_action *actions;
    struct config_uplink *uplinks;
    struct names places_names, buses_names, devices_names, profiles_names, site_alarms_names;
    struct profile **profiles;
    uint16_t profiles_count;
    uint64_t rules_hash; /* of the rule files that were read */
};

/* A text of the nodes, copied to where the configuration lives. */
const char *loader_keep(struct arena *arena, const char *text);

/* The members of a section of the file, at most `most` (what is above was reported). */
const struct node *loader_section(const struct loader *loader, const char *name, uint32_t most, uint16_t *ret_count);

/* One place, bus or device by name; reports what does not exist with the nearest that does. */
enum loader_kind { LOADER_PLACE, LOADER_BUS, LOADER_DEVICE };
uint32_t loader_find(const struct loader *loader, enum loader_kind kind, const struct node *node, const char *name);
/* "device/point": false when it was reported or is part of something broken. */
bool loader_find_point(const struct loader *loader, const struct node *node, uint16_t *ret_device, uint16_t *ret_point);
/* Cuts "device/rest" in two; false when there is no '/'. */
bool loader_split(const char *path, char ret_first[NAME_SIZE], const char **ret_rest);

/* The parts. */
void load_gateway(struct loader *loader);
void load_places(struct loader *loader);
void load_buses(struct loader *loader);
void load_devices(struct loader *loader);
void load_place_rules(struct loader *loader); /* place_rules.h */
void load_alarms(struct loader *loader);
void load_actions(struct loader *loader);
void load_uplinks(struct loader *loader);
void load_store(struct loader *loader);
void load_finish_points(struct loader *loader); /* classes, periods, alarm texts */
void load_rules(struct loader *loader);

/* Shared with profiles. */
bool points_read(const struct source *source, const struct node *map, struct arena *arena, struct point **ret_points, uint16_t *ret_count);
uint16_t points_find(const struct point *points, uint16_t count, const char *name); /* CONFIG_NONE */
void points_nearest(struct nearest *nearest, const struct point *points, uint16_t count);

/* An alarm's keys onto what stands in `alarm` already: a new one (`fresh`) or one from a profile. False after an error. */
bool alarm_read(const struct source *source, const struct node *map, const struct point *point, bool fresh, struct arena *arena,
                struct config_alarm *alarm);
void alarm_defaults(struct config_alarm *alarm);
/* A label, on, off or a number of a point as a number. */
bool value_read(const struct source *source, const struct node *node, const struct point *point, double *ret_value, const char **ret_label,
                struct arena *arena);

/* Minutes east of UTC now; false when there is no such zone. */
bool timezone_offset(const char *name, int *ret_minutes);

#endif
