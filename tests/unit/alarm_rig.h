/* SPDX-License-Identifier: Apache-2.0 */
/* One alarm driven as the core drives it: the event, then the time; alarm_check after each call. Times are milliseconds. A refusal
 * is checked to have a reason and to have changed nothing. */
#ifndef YANHUO_TESTS_ALARM_RIG_H
#define YANHUO_TESTS_ALARM_RIG_H

#include "gateway/core/alarm.h"

#define RIG_WALL_MS INT64_C(1790000000000) /* wall time at 0 ms */

struct now rig_at(int64_t ms);
/* Each returns the cause of the change, 0 for none. */
int rig_feed(struct alarm *alarm, int64_t ms, double n);
int rig_blind(struct alarm *alarm, int64_t ms);
int rig_tick(struct alarm *alarm, int64_t ms);
/* By a person: true when it changed something. */
bool rig_acknowledge(struct alarm *alarm, int64_t ms);
bool rig_reset(struct alarm *alarm, int64_t ms);
bool rig_shelve(struct alarm *alarm, int64_t ms, int64_t for_ms);
bool rig_unshelve(struct alarm *alarm, int64_t ms);
bool rig_take_out(struct alarm *alarm, int64_t ms, int64_t for_ms);
bool rig_put_back(struct alarm *alarm, int64_t ms);
/* By design: the cause, 0 for none. */
int rig_suppress(struct alarm *alarm, int64_t ms, bool suppress);
/* Above 10, no delays, no deadband, one of one. */
struct config_alarm rig_rule_above(void);

#endif
