/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as the rest of the gateway sees it: immutable after loading, indexed, every default filled in, every
 * reference resolved to an index. Loaded by load.h; read by any thread. Lists are in the order of the file. */
#ifndef YANHUO_CONFIG_H
#define YANHUO_CONFIG_H

#include "base/arena.h"
#include "sensors/bus.h"
#include "sensors/device.h"

#define CONFIG_NONE UINT16_MAX /* no such place, point, ... */

enum place_kind { PLACE_CHARGING, PLACE_KITCHEN, PLACE_COLD_STORE, PLACE_OTHER };

struct config_place {
    const char *key; /* "shed-1" */
    const char *name, *address, *responsible, *phone; /* "" when not given */
    enum place_kind kind;
    uint16_t stoves;
    bool has_hours;                  /* else it is always open */
    uint16_t opens_min, closes_min;  /* minutes of the day; closes below opens: past midnight */
    uint8_t closed_days;             /* bit 0 Monday .. bit 6 Sunday */
};

/* How sure a profile's register map is, as it says itself. */
enum profile_confidence { CONFIDENCE_CONFIRMED, CONFIDENCE_LIKELY, CONFIDENCE_UNCONFIRMED };

struct config_device {
    struct device_spec spec; /* name, unit id, points with the site's overrides */
    uint16_t bus, place;     /* place: CONFIG_NONE when not given */
    uint32_t first_point;    /* global index of its point 0: first_point + index within the device */
    double rated_current;    /* A, of what it supplies; 0 when not given. Rules of a place count in it */
    const char *location;    /* "" when not given */
    const char *profile;     /* its profile's name, or "" for points listed inline */
    const char *manufacturer, *model; /* "" when not known */
};

/* ---- derived points: one table of kinds, gateway/core/derive.h says what each computes ---- */

enum derive_kind {
    DERIVE_ON_OFF,     /* 1 above on_above, 0 below off_below, between them as before */
    DERIVE_MEAN,       /* over a window */
    DERIVE_RATE,       /* per minute, over a window */
    DERIVE_RUN_HOURS,  /* hours the input was not 0, since the last maintenance; durable */
    DERIVE_DAYS_SINCE, /* days since the last maintenance; durable */
    DERIVE_UNCHANGED,  /* minutes since the input last changed */
    DERIVE_BASE_FUME,  /* GB 18483: concentration x flow / (stoves x 2000 m3/h) */
    DERIVE_EFFICIENCY, /* percent removed between inlet and outlet */
    DERIVE_SUM,
    DERIVE_DIFFERENCE, /* first - second */
};

struct config_input {
    uint16_t device, point;
};

struct config_derived { /* its result is the point `point` of `device`, which has `derived` set */
    uint16_t device, point;
    enum derive_kind kind;
    uint8_t inputs_count;
    struct config_input inputs[DERIVED_INPUTS_MAX];
    double on_above, off_below; /* ON_OFF */
    uint32_t over_ms;           /* MEAN, RATE */
    uint32_t every_ms;          /* MEAN: polling period of its input, so that no part of the window is narrower than two polls; 0: not known */
    double stoves;              /* BASE_FUME */
};

enum condition_kind {
    CONDITION_ABOVE,
    CONDITION_BELOW,
    CONDITION_EQUAL,
    CONDITION_COMMUNICATION, /* its device does not answer */
    CONDITION_COMPOSITE,     /* terms */
    CONDITION_ACTION,        /* a local action cannot be carried out */
};

/* One term of a composite condition. A group's members follow it (prefix order); `span` counts the group and all below it. */
enum term_kind { TERM_ABOVE, TERM_BELOW, TERM_EQUAL, TERM_MISSING, TERM_OPEN, TERM_ALL, TERM_ANY, TERM_NOT };

struct config_term {
    enum term_kind kind;
    uint16_t span;          /* 1 for a leaf */
    uint16_t device, point; /* ABOVE, BELOW, EQUAL, MISSING (no good reading) */
    double limit, deadband;
    uint16_t place;         /* OPEN: within its hours */
    uint32_t on_delay_ms;   /* holds this long before it counts */
};

enum priority { PRIORITY_LOW, PRIORITY_MEDIUM, PRIORITY_HIGH };

struct config_shelf { /* shelved from the start, until its end */
    const char *by, *reason;
    int64_t until_ms;
};

/* One alarm rule. Its durable key is device/name; every device also has one CONDITION_COMMUNICATION rule named "communication", and
 * every action one CONDITION_ACTION rule named "action-NAME" on the device it writes to, both class fault, made by the loader. A
 * composite belongs to the device of its first point. */
struct config_alarm {
    const char *name;
    uint16_t device, point; /* point: CONFIG_NONE for communication, composite and action */
    enum condition_kind condition;
    double limit;         /* EQUAL: the value of the label or number */
    const char *label;    /* the label of an EQUAL limit ("on"), or NULL */
    double deadband;      /* ABOVE clears below limit - deadband, BELOW above limit + deadband */
    uint32_t on_delay_ms, off_delay_ms;
    uint8_t of_n, of_m;   /* at least n of the last m readings; 1 of 1 by default, m <= 32 */
    bool latch;           /* stays until reset */
    enum alarm_class class;
    enum priority priority;
    const char *zh, *en;  /* what a person reads; never NULL */
    uint32_t first_term;  /* COMPOSITE: terms_count of config->terms */
    uint16_t terms_count;
    uint16_t action;      /* ACTION: index in actions */
    uint32_t realarm_ms, escalate_ms; /* unacknowledged for so long: told again, every time; told again one priority higher, once; 0: never */
    bool auto_acknowledge; /* a return needs no person; never for class fire */
    uint16_t suppressed_by; /* while that alarm is active this one is suppressed, if it was not active before; CONFIG_NONE */
    const char *remedy_zh, *remedy_en, *basis_zh, *basis_en; /* what to do, and on what ground; "" when not given */
    enum profile_confidence confidence; /* of the basis */
    const char *rule_set;               /* "charging": from the ready rules of that kind of place; "" otherwise */
    const struct config_shelf *shelf;   /* NULL: none */
};

/* Something that the ready rules of a place would watch, if it were there, or an alarm of a rule or profile that the site removed: for
 * the checklist. */
struct config_unwatched {
    uint16_t place, device; /* device: CONFIG_NONE when it is about the whole place */
    const char *what_zh, *what_en;
    const char *missing_zh, *missing_en; /* NULL when it was removed */
    const char *removed;                 /* the alarm's name; NULL: something is missing */
};

/* Local action: when the alarm becomes active, write the point; held until reset. */
struct config_action {
    const char *name;
    uint16_t alarm;          /* index in alarms */
    uint16_t device, point;  /* what is written */
    double value;
};

enum uplink_kind { UPLINK_MQTT };

struct config_readings { /* what of the readings an uplink gets, and how */
    bool wanted;
    uint32_t batch_ms;          /* 0: each poll its own message */
    bool on_change;             /* report by exception: only values that changed, and at_least_every */
    uint32_t at_least_every_ms; /* 0: never without a change */
};

struct config_keep { /* what waits for an uplink that does not take it, at most; what is older or more goes, oldest first */
    uint64_t events_ms, readings_ms;
    uint64_t events_bytes, readings_bytes; /* 0: as much as the spool has room for */
};

struct config_broker {
    const char *host;
    uint16_t port;
    bool tls;
};

struct config_mqtt {
    struct config_broker brokers[BROKERS_MAX]; /* the first is where the uplink belongs; the others when that fails */
    uint8_t brokers_count;            /* at least 1 */
    const char *client_id, *username; /* username "" for none */
    const char *password_credential;  /* name of a systemd credential, or NULL */
    const char *password_plain;       /* written in the file (warned about), or NULL */
    const char *ca_file, *certificate_file, *key_file; /* NULL when not given */
    uint16_t keepalive_s, window;
    uint16_t backlog_rate; /* messages a second; 0: no limit */
    const char *topic_prefix; /* "yanhuo/v1/nanhu-01" */
};

/* Between pings on a silent connection. One that is dead is given up when the second is due and the first was not answered; with the
 * tick of a second that the library takes to notice each, that is within 1.5 x keepalive of the last sign of life. */
static inline uint16_t config_ping_s(const struct config_mqtt *mqtt) {
    return mqtt->keepalive_s > 2 ? (uint16_t)((3u * mqtt->keepalive_s - 4) / 4) : 1;
}

struct config_uplink {
    const char *name;
    enum uplink_kind kind;
    struct config_mqtt mqtt;
    struct config_readings readings;
    struct config_keep keep;
    bool commands; /* taken from its cmd/ topics */
};

struct config_commands {
    const char *hmac_credential; /* key for what resets and writes, by the name of a systemd credential; NULL: such commands come locally only */
    const char *hmac_plain;      /* written in the file (warned about), or NULL */
};

struct config_store {
    uint64_t spool_bytes_max;      /* of undelivered entries, all lanes */
    uint32_t readings_commit_ms;   /* a power cut costs at most this much of the readings */
    uint32_t history_days;
    uint64_t history_bytes_max; /* whichever of both is reached first */
    uint32_t rollup_days;
    uint32_t event_days, record_days; /* also after delivery; records: problems, maintenance, walk tests */
    uint64_t events_bytes_max;        /* of both */
    uint64_t card_bytes; /* 0: nothing is said of it */
    uint32_t card_cycles;
};

/* A file that the configuration was made of: what a copy of it needs. */
enum config_file_kind { CONFIG_FILE_SITE, CONFIG_FILE_PROFILE, CONFIG_FILE_RULES };

struct config_file {
    const struct config_file *next;
    enum config_file_kind kind;
    const char *name; /* of the profile, or the kind of place; "" for the site's own */
    const char *path;
    uint64_t hash; /* FNV-1a 64 of its bytes as they were read */
};

struct config {
    const char *path;
    const struct config_file *files;
    const char *gateway_id, *timezone;
    bool clock_by_host;     /* the wall clock is trusted whatever the kernel says of it */
    int utc_offset_minutes; /* of the timezone at load time; zone transitions come with civil time */
    uint16_t places_count, buses_count, devices_count, alarms_count, actions_count, uplinks_count;
    uint32_t points_count; /* of all devices, derived ones too */
    uint32_t terms_count;
    uint16_t derived_count;
    uint16_t unwatched_count;
    const struct config_unwatched *unwatched; /* at most UNWATCHED_MAX: what is missing, place after place, then what was removed */
    const struct config_derived *derived; /* inputs before what is computed from them */
    const struct config_term *terms;
    struct config_commands commands;
    const struct config_place *places;
    const struct bus_spec *buses;
    const struct config_device *devices;
    const struct config_alarm *alarms;
    const struct config_action *actions;
    const struct config_uplink *uplinks;
    struct config_store store;
    char hash[17], profiles_hash[17]; /* FNV-1a 64 of the file's bytes and of the profiles used, in hex: to notice a change, not to prove one */
};

/* Of a composite the first term with a limit: what its events show as value, unit and limit. NULL: it has none, or is no composite. */
static inline const struct config_term *config_limit_term(const struct config *config, const struct config_alarm *alarm) {
    for (uint16_t i = 0; alarm->condition == CONDITION_COMPOSITE && i < alarm->terms_count; i++)
        if (config->terms[alarm->first_term + i].kind <= TERM_BELOW)
            return &config->terms[alarm->first_term + i];
    return NULL;
}

/* The point behind a device and an index within it. */
static inline const struct point *config_point(const struct config *config, uint16_t device, uint16_t point) {
    return &config->devices[device].spec.points[point];
}

#endif
