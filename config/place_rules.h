/* SPDX-License-Identifier: Apache-2.0 */
/* What the three files about ready rules share. One file of rules says everything about one kind of place (docs/rules.md):
 * place_rules_file.c finds and checks it, place_rules.c finds out which rules a device gets and what they lack,
 * place_rules_expand.c writes such a rule down as if the site had written it. */
#ifndef YANHUO_PLACE_RULES_H
#define YANHUO_PLACE_RULES_H

#include "config/loader.h"

struct rule_set {
    struct source source;
    const char *kind;           /* "kitchen" */
    bool read;                  /* it was looked for */
    const struct node *derived; /* NULL: none */
    const struct node *rules;   /* NULL: none, or the file is wrong */
};

/* One point a rule is about, found on a device. */
struct rule_need {
    const char *name; /* as the rule writes it, without '*' */
    bool channelled;
    uint16_t device;
    char point[NAME_SIZE];
};

/* One rule, or derived point, about to be written down for one device and channel. */
struct rule_use {
    struct loader *loader;
    const struct rule_set *set;
    const struct node *rule; /* node->key: its name */
    uint16_t device;
    const char *channel; /* "", "-3" or "-l1" */
    struct rule_need needs[RULE_NEEDS_MAX];
    unsigned needs_count;
};

/* The rules of a kind of place; every error in the file is told in it. A set without rules when there is no file. */
void rule_set_read(struct loader *loader, enum place_kind kind, struct rule_set *set);

/* "temperature*" -> "temperature", true. */
bool rule_need_name(const struct node *need, char ret_name[NAME_SIZE]);
/* The list of what a rule or derived point needs; never NULL in a set that is used. */
const struct node *rule_needs(const struct node *rule);
const char *rule_title(const struct node *rule, const char *language);

/* Writes the point or the alarm down at the device. `use` is complete: every need is found. */
void rule_write_derived(const struct rule_use *use);
void rule_write_alarm(const struct rule_use *use);
/* False, with what is missing told in `ret_point`, when a limit of the alarm has another unit than its point. */
bool rule_units_agree(const struct rule_use *use, const char **ret_point);

#endif
