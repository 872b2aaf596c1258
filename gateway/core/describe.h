/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, in the words an event carries: everything a reader needs as it is now, because a stored event must read the
 * same after the configuration has changed. Pure. */
#ifndef YANHUO_DESCRIBE_H
#define YANHUO_DESCRIBE_H

#include "base/text.h"
#include "gateway/core/event.h"

const char *priority_name(enum priority priority);

/* A value as JSON writes it: a number, a string, null. */
void describe_value(struct text *text, const struct value *value);
void describe_alarm(const struct config *config, const struct alarm *alarm, enum alarm_cause cause, struct alarm_event *ret_event);
/* An alarm that is no longer configured; its place is told when its device still is. */
void describe_removed(const struct config *config, const char *device, const char *alarm, const struct alarm_remains *remains,
                      struct alarm_event *ret_event);
/* Why a write did not succeed; "" when it did. */
void describe_written(const struct config *config, const struct written *written, char ret_why[EVENT_TEXT_SIZE]);
void describe_action(const struct config *config, const struct config_action *rule, bool ok, const char *why, uint32_t attempt,
                     struct action_event *ret_event);

#endif
