/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the core share. core.c is the road; each part does one thing on it:
 *   core_alarms.c   readings and truths become transitions, transitions are told
 *   core_bursts.c    transitions that come too often are told as one
 *   core_actions.c  transitions become writes, writes are compared with what is read back
 *   core_derive.c   readings become derived readings
 *   core_command.c  what a person asks
 *   core_people.c    walk tests and problems
 *   core_records.c  what is saved beside entries
 *   core_removed.c  what is saved and no longer configured
 *   core_disk.c     what the store says of its disk
 *   core_vitals.c   parts of the gateway itself: their alarms, replacements, restarts
 *   core_pump.c     state becomes effects */
#ifndef YANHUO_CORE_PARTS_H
#define YANHUO_CORE_PARTS_H

#include "gateway/core/core.h"

enum lane core_alarm_lane(const struct core *core, uint16_t alarm);
const char *core_device_name(const struct core *core, uint16_t device);
/* The alarm of these names, or CONFIG_NONE. */
uint16_t core_find_alarm(const struct core *core, const char *device, const char *alarm);

/* ---- core_alarms.c ---- */
void core_alarms_init(struct core *core, struct arena *arena);
/* `extra`: read beside the point's period. An alarm that wants several readings in agreement means those of the period. */
void core_judge_reading(struct core *core, const struct now *now, uint16_t device, const struct reading *reading, bool extra);
void core_judge_composites(struct core *core, const struct now *now);
/* An alarm that is fed with a truth: communication, action. */
void core_judge_truth(struct core *core, const struct now *now, uint16_t alarm, bool condition);
/* The state changed, or is told anew: event, record, retained state, actions, problem. */
void core_alarm_changed(struct core *core, const struct now *now, uint16_t alarm, enum alarm_cause cause);
/* After whatever may have changed an alarm: its next deadline, and what has to be saved though it is not told. */
void core_alarm_rearm(struct core *core, const struct now *now, uint16_t alarm);
void core_alarms_on_start(struct core *core, const struct now *now);
void core_alarms_on_clock(struct core *core, const struct now *now);
void core_alarms_on_time(struct core *core, const struct now *now);
/* In each step, behind all that was judged in it. */
void core_release_suppressed(struct core *core, const struct now *now);
/* Its retained state is sent again, if it is more than an assumption. */
void core_alarm_tell_state(struct core *core, uint16_t alarm);
/* The test is over: what is still in alarm is real. */
void core_alarm_becomes_real(struct core *core, const struct now *now, uint16_t alarm);

/* ---- core_bursts.c ---- */
/* An alarm that chatters, or a flood of many (alarm CONFIG_NONE): begun, ended. Returns the event's seq. */
uint64_t core_burst_tell(struct core *core, const struct now *now, uint16_t alarm, bool ended);
/* Counts an activation. True: the transition is not told by itself, because the event about the chattering stands for it. */
bool core_burst_hides(struct core *core, const struct now *now, uint16_t alarm, enum alarm_cause cause);

/* ---- core_actions.c ---- */
void core_actions_init(struct core *core, struct arena *arena);
void core_actions_on_alarm(struct core *core, const struct now *now, uint16_t alarm);
/* Of what was wanted before: one of two that contradict each other gives way. */
void core_actions_on_start(struct core *core, const struct now *now);
/* The alarm is open since before: what its action asked for is done, unless it had given way. */
void core_actions_on_restored(struct core *core, const struct now *now, uint16_t alarm);
void core_actions_on_reading(struct core *core, const struct now *now, uint16_t device, const struct reading *reading);
void core_actions_on_device_back(struct core *core, const struct now *now, uint16_t device);
void core_actions_on_time(struct core *core, const struct now *now);
bool core_actions_release(struct core *core, const struct now *now, uint16_t alarm);
/* False: *ret_why says why not. */
bool core_manual_write(struct core *core, uint16_t device, uint16_t point, double value, const char *by, const char **ret_why);
void core_pump_actions(struct core *core, const struct now *now, struct effects *effects);
int64_t core_actions_next_wake(const struct core *core);

/* ---- core_derive.c ---- */
void core_derive_init(struct core *core, struct arena *arena);
void core_derive_on_reading(struct core *core, uint16_t device, const struct reading *reading);
/* The next derived point that has a new input, computed; false when there is none. */
bool core_derive_next(struct core *core, const struct now *now, uint16_t *ret_device, struct reading *ret_reading);
void core_derive_on_maintenance(struct core *core, const struct now *now, uint16_t device);
void core_derive_on_time(struct core *core, const struct now *now);

/* ---- core_people.c---- */
void core_problem_on_alarm(struct core *core, const struct now *now, uint16_t alarm);
/* The alarm is open since before: so is its problem, although a power cut may have come between their commits. */
void core_problem_on_restored(struct core *core, const struct now *now, uint16_t alarm);
void core_problem_tell(struct core *core, const struct now *now, unsigned problem, const char *by, const char *what);
void core_walk_tell(struct core *core, const struct now *now, bool ended);
void core_walk_end(struct core *core, const struct now *now);
void core_walk_on_time(struct core *core, const struct now *now); /* its time is over, or all were seen and have returned */

/* ---- core_vitals.c ---- */
uint16_t core_vitals_init(struct core *core, struct arena *arena); /* returns how many alarms there are beside the configured ones */

/* ---- core.c ---- */
uint64_t core_seal_system(struct core *core, const struct now *now, enum entry_kind kind, const char *what, const char *detail, int64_t offset_ms);

/* ---- core_records.c ---- */
void core_records_init(struct core *core, struct arena *arena);
void core_record_alarm(struct core *core, uint16_t alarm, uint64_t event_seq);
void core_record_action(struct core *core, uint16_t action, uint16_t alarm, uint64_t event_seq); /* an event of this alarm */
void core_record_derived(struct core *core, uint16_t derived);
void core_record_command(struct core *core, unsigned slot, uint64_t event_seq);
void core_record_problem(struct core *core, unsigned problem, uint64_t event_seq);
void core_record_removed(struct core *core, uint16_t item, enum lane lane, uint64_t event_seq);
void core_record_put(void *core, uint32_t slot, struct record_save *ret_save);
void core_records_on_start(struct core *core, const struct now *now, const struct store_image *image);

/* ---- core_disk.c ---- */
void core_disk_on_time(struct core *core, const struct now *now);
int64_t core_disk_next_wake(const struct core *core);

/* ---- core_removed.c ---- */
void core_removed_init(struct core *core, struct arena *arena);
void core_removed_note(struct core *core, const struct store_record *record);
/* In each step: tells some, as long as there is room. */
void core_removed_on_time(struct core *core, const struct now *now);
bool core_removed_due(const struct core *core);

#endif
