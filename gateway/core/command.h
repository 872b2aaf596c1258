/* SPDX-License-Identifier: Apache-2.0 */
/* What a person may ask of the gateway, as a struct: the table of verbs and fields that both the parser (gateway/io/command_json.c)
 * and the core read. docs/commands.md is its manual. Pure; plain data.
 *
 * A command is bounded, has an id, a claimed author, and a time from when to when it holds. `by` is a claim; `channel` and
 * `authorised` are what the gateway knows by itself. The core carries it out (core_command.c) or refuses it with a reason. */
#ifndef YANHUO_COMMAND_H
#define YANHUO_COMMAND_H

#include "gateway/core/entry.h"

enum command_verb { /* stored: never renumbered */
    COMMAND_ACKNOWLEDGE = 1,
    COMMAND_SHELVE = 2,
    COMMAND_UNSHELVE = 3,
    COMMAND_OUT_OF_SERVICE = 4,
    COMMAND_RESET = 5,
    COMMAND_ASSIGN = 6,
    COMMAND_RECTIFY = 7,
    COMMAND_CLOSE = 8,
    COMMAND_MAINTENANCE = 9,
    COMMAND_WALK_TEST = 10,
    COMMAND_WRITE = 11,
};

enum command_channel { CHANNEL_MQTT, CHANNEL_SOCKET };

/* Which fields were written; also in the table which a verb needs and takes. */
enum command_field {
    FIELD_DEVICE = 1u << 0,
    FIELD_ALARM = 1u << 1,
    FIELD_POINT = 1u << 2,
    FIELD_PLACE = 1u << 3,
    FIELD_PROBLEM = 1u << 4,  /* a problem's id, as its events tell it */
    FIELD_TO = 1u << 5,       /* whom it is assigned to */
    FIELD_WHAT = 1u << 6,     /* what was done, or found */
    FIELD_REASON = 1u << 7,
    FIELD_TYPE = 1u << 8,     /* of a maintenance: cleaning, filter, repair, calibration, inspection */
    FIELD_COMPANY = 1u << 9,
    FIELD_VALUE = 1u << 10,   /* a number, or text: a label, on, off */
    FIELD_UNTIL = 1u << 11,   /* RFC 3339 */
    FIELD_NEXT_DUE = 1u << 12, /* RFC 3339 */
    FIELD_MINUTES = 1u << 13,
    FIELD_ON = 1u << 14,      /* out of service, or back in service */
    FIELD_INHIBIT = 1u << 15, /* a walk test makes no local action */
    FIELD_STOP = 1u << 16,    /* ends the walk test */
};

struct command {
    enum command_verb verb; /* 0: there is no such verb, see refusal */
    enum command_channel channel;
    uint16_t uplink;        /* MQTT */
    uint32_t socket_id;     /* SOCKET: goes with the reply */
    char peer[NAME_SIZE];   /* the authenticated channel, for the journal: "mqtt city", "socket uid 0" */
    bool authorised;        /* its HMAC was right, or it came from a local peer who may */
    bool retained;          /* by the broker: refused, it may be of any age */
    char refusal[EVENT_TEXT_SIZE]; /* not "": it could not be read, this is why; nothing else but id is meant then */

    char id[NAME_SIZE], by[NAME_SIZE];
    int64_t issued_ms, expires_ms;
    uint32_t fields; /* enum command_field: which of these were written */
    char device[NAME_SIZE], alarm[NAME_SIZE], point[NAME_SIZE], place[NAME_SIZE], to[NAME_SIZE], company[NAME_SIZE], type[NAME_SIZE];
    char problem[NAME_SIZE + 40]; /* a gateway's name, 16 and 20 digits: longer than a name */
    char what[EVENT_TEXT_SIZE], reason[EVENT_TEXT_SIZE];
    char value_text[VALUE_TEXT_SIZE]; /* VALUE as text; "" when it was a number */
    double value;
    int64_t until_ms, next_due_ms;
    uint32_t minutes;
    bool on, inhibit, stop;
};

/* The texts, by field. */
struct command_text {
    enum command_field field;
    const char *name;
    uint16_t offset, size;
    bool is_name; /* text_is_name; otherwise free text */
};
extern const struct command_text command_texts[];
extern const unsigned command_texts_count;

struct command_rule {
    enum command_verb verb;
    const char *name;
    uint32_t needed, allowed; /* fields; allowed includes needed */
    bool authorised;          /* needs `authorised` */
};
const struct command_rule *command_rule(enum command_verb verb);       /* NULL: none */
const struct command_rule *command_rule_named(const char *name);       /* NULL: none */
const char *command_field_name(enum command_field field);              /* "next_due" */

#define COMMAND_LIFE_MAX_MS 3600000    /* expires - issued: a longer life would have to be remembered longer */
#define COMMAND_AHEAD_MAX_MS 60000     /* issued may lie so far ahead of our clock: two clocks are never equal */

/* What came of it. */
struct command_outcome {
    bool ok;
    char why[EVENT_TEXT_SIZE];       /* refused: the reason, for a person */
    uint64_t event_start, event_seq; /* ok: the id of its event */
};

#endif
