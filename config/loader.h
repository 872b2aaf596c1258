/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the loader share. The road: yaml_read, schema_check, then the sections in the order in which they refer
 * to each other (gateway, places, buses, devices with their profiles, derived points, alarms, actions, uplinks, store), then the
 * rules that look at the whole. Every part goes on after an error, so that all errors are told at once; a broken part is remembered so
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
    uint16_t points_room;               /* how many fit there; grown when a derived one is appended */
    bool broken;                        /* its points are not known because of an error already told */
    uint32_t derived;                   /* its newest derived point in the loader's list, NAMES_NONE for none */
    uint32_t first_alarm, alarms_count; /* those it has without the site's own: profile, rule set, actions, communication */
    /* From the ready rules of its place: lists by `next`, NULL for none. Their keys are plain names, references in them are whole
     * (DEVICE/POINT). Complaints about them go to rule_source. */
    struct node *rule_derived, *rule_alarms;
    const struct source *rule_source;
};

/* A derived point on its way: `rule` is complete once its inputs are known and in order. */
enum loader_mark { MARK_NEW, MARK_OPEN, MARK_DONE };
struct loader_derived {
    const struct source *source;
    const struct node *node; /* NULL for the rate behind a 'rising' or 'falling' */
    struct config_derived rule;
    const struct node *inputs[DERIVED_INPUTS_MAX];
    uint32_t next; /* of the same device, NAMES_NONE at the end */
    uint32_t from; /* while inputs are followed: what led here */
    enum loader_mark mark;
    bool broken;        /* an error was told */
    double least, most; /* what the result can be, as far as it is known; infinite otherwise */
};

struct loader_alarm {
    bool removed;
    uint32_t index; /* once the removed ones are gone */
    const struct source *suppressed_source;
    const struct node *suppressed_by; /* as it is written, NULL when it is not */
    uint32_t suppressor;              /* place in the whole list, NAMES_NONE for none */
};

struct loader {
    struct source site;
    unsigned errors_before; /* among the diagnostics when this loading began */
    struct arena *arena;    /* of the configuration */
    struct arena scratch;   /* of nodes and tables, gone after loading */
    const char *profiles_dirs[2];
    bool copy; /* config_load_copy: profiles and rules come from profiles_dirs[1] alone */
    int copy_utc_offset_minutes;
    struct config *config;
    struct config_place *places;
    struct bus_spec *buses;
    struct config_device *devices;
    struct loader_device *devices_more;
    struct config_alarm *alarms;
    struct loader_alarm *alarms_more;
    uint32_t alarms_count, alarms_room;
    struct config_term *terms; /* of all composites in the whole list, removed ones and replaced conditions too */
    uint32_t terms_count, terms_room;
    struct loader_derived *derived; /* in the order of computing once load_derived is done; pointers into it do not last */
    uint32_t derived_count, derived_room;
    struct config_derived *derived_rules; /* the same, as the configuration keeps them */
    struct config_action *actions;
    struct config_uplink *uplinks;
    struct names places_names, buses_names, devices_names, profiles_names, site_alarms_names;
    struct profile **profiles;
    uint16_t profiles_count;
    uint64_t rules_hash; /* of the rule files that were read */
};

/* A text of the nodes, copied to where the configuration lives. */
const char *loader_keep(struct arena *arena, const char *text);

/* Remembers a file that the configuration is made of. */
void loader_file(struct loader *loader, enum config_file_kind kind, const char *name, const char *path, uint64_t hash);

/* The members of a section of the file, at most `most` (what is above was reported). */
const struct node *loader_section(const struct loader *loader, const char *name, uint32_t most, uint16_t *ret_count);

/* One place, bus or device by name; reports what does not exist with the nearest that does. */
enum loader_kind { LOADER_PLACE, LOADER_BUS, LOADER_DEVICE };
uint32_t loader_find(const struct loader *loader, const struct source *source, enum loader_kind kind, const struct node *node, const char *name);
/* "device/point": false when it was reported or is part of something broken. */
bool loader_find_point(const struct loader *loader, const struct source *source, const struct node *node, uint16_t *ret_device, uint16_t *ret_point);
/* Cuts "device/rest" in two; false when there is no '/'. */
bool loader_split(const char *path, char ret_first[NAME_SIZE], const char **ret_rest);

/* The parts. */
void load_gateway(struct loader *loader);
void load_places(struct loader *loader);
void load_buses(struct loader *loader);
void load_devices(struct loader *loader);
void load_place_rules(struct loader *loader); /* place_rules.h */
void load_derived(struct loader *loader);
void load_alarms(struct loader *loader);
void load_actions(struct loader *loader);
void load_suppression(struct loader *loader);
void load_settle_alarms(struct loader *loader); /* removed ones are taken out, indices become final */
void load_settle_derived(struct loader *loader);
void load_commands(struct loader *loader);
void load_uplinks(struct loader *loader);
void load_store(struct loader *loader);
void load_finish_points(struct loader *loader); /* classes, then periods, which depend on them */
void load_alarm_texts(struct loader *loader);
void load_rules(struct loader *loader);

/* Shared with profiles. */
bool points_read(const struct source *source, const struct node *map, struct arena *arena, struct point **ret_points, uint16_t *ret_count);
uint16_t points_find(const struct point *points, uint16_t count, const char *name); /* CONFIG_NONE */
void points_nearest(struct nearest *nearest, const struct point *points, uint16_t count);

/* An alarm's keys onto what stands in `alarm` already: a new one (`fresh`) or one from a profile. `point` carries the range that
 * limits are compared with; it is NULL for an alarm without one. False after an error. */
bool alarm_read(const struct source *source, const struct node *map, const struct point *point, bool fresh, struct arena *arena,
                struct config_alarm *alarm);
void alarm_defaults(struct config_alarm *alarm);
/* Its limit with everything about it: above, below, is, rising, falling and deadband. */
bool limit_read(const struct source *source, const struct node *map, const struct point *point, bool fresh, struct arena *arena,
                struct config_alarm *alarm);
bool limit_written(const struct node *map);            /* is there one at all? */
const struct node *limit_rate(const struct node *map); /* its 'rising' or 'falling', NULL when there is none */
/* An amount in the unit of the point. */
bool quantity_read(const struct source *source, const struct node *node, const struct point *point, double *ret_value);
/* A label, on, off or a number of a point as a number. */
bool value_read(const struct source *source, const struct node *node, const struct point *point, double *ret_value, const char **ret_label,
                struct arena *arena);
/* What is no limit and no delay: who is told when, on what ground, what it is shelved for. After the class is known. */
bool alarm_keys_read(const struct source *source, const struct node *map, struct arena *arena, struct config_alarm *alarm);

/* Composite conditions: a group of an alarm onto loader->terms. `alarm->device` is CONFIG_NONE, or stays. */
const struct node *conditions_group(const struct node *map); /* all, any or not; NULL when there is none */
bool conditions_read(struct loader *loader, const struct source *source, const struct node *map, struct config_alarm *alarm);
/* above or below of an override onto the one limit of a composite. */
bool conditions_override(struct loader *loader, const struct source *source, const struct node *map, struct config_alarm *alarm);
/* Two conditions of a composite that cannot be meant; contradictions.c says which. The one to look at, and what stands against it. */
enum contradiction { CONTRADICTION_NONE, CONTRADICTION_NEVER, CONTRADICTION_ALWAYS, CONTRADICTION_USELESS };
enum contradiction contradiction_find(const struct config_term *terms, uint16_t count, uint16_t *ret_at, uint16_t *ret_other);

/* Derived points. */
struct loader_derived *derived_of(const struct loader *loader, uint16_t device, uint16_t point); /* NULL: it is read from the device */
/* The rate of a point over a minute, made when it is not there yet; CONFIG_NONE after an error. */
uint16_t derived_rate(struct loader *loader, const struct source *source, const struct node *at, uint16_t device, uint16_t point);
/* A computed point before its unit, class and range are known; the texts are kept, not copied. */
struct point derived_point(const char *name, const char *zh, const char *en, const char *unit);
struct point derived_rate_point(const struct point *base, struct arena *arena);
/* Kind, inputs and parameters as they are written; then, when the inputs are complete, what the result is. False after an error. */
bool derived_read(struct loader *loader, struct loader_derived *derived);
bool derived_complete(struct loader *loader, struct loader_derived *derived);
/* The point as its limits see it: with the range that is known of what is computed. */
struct point loader_limits(const struct loader *loader, uint16_t device, uint16_t point);

/* The alarm "device/alarm" or one of the site's own, as a place in the whole list; reports what does not exist. */
uint32_t loader_find_alarm(const struct loader *loader, const struct source *source, const struct node *node);

/* Minutes east of UTC now; false when there is no such zone. */
bool timezone_offset(const char *name, int *ret_minutes);

#endif
