/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the gateway itself, as their subscribers see them: a part that is stuck is an alarm of the device "gateway" like any other
 * (alarm/gateway/bus-shed: event, record, retained state, acknowledged and shelved by the same commands), class fault, priority high.
 * The rules are made here and not by the loader: no site can lower, remove or suppress them, and a configuration stays what was written.
 *
 * What the machine (vitals.c) wants done is kept in the state until an effect takes it: REPLACE for a line, RESTART for the process. A
 * stuck store is replaced by memory, here: from then on it counts as volatile, whatever its writer said last. */
#include <stdio.h>
#include <string.h>

#include "gateway/core/core_parts.h"

struct part_text { /* %s is the bus or the uplink */
    enum priority priority;
    const char *zh, *en, *remedy_zh, *remedy_en;
};

static const struct part_text texts[VITALS_KINDS_COUNT] = {
    [VITALS_LINE] = {PRIORITY_HIGH, "串口总线 %s 卡死：其设备暂时不受监视", "the serial line %s is stuck: its devices are not watched",
                     "请重新插拔该总线的 USB 适配器；仍无效时更换适配器", "unplug its adapter and plug it in again; exchange it when that does not help"},
    [VITALS_STORE] = {PRIORITY_HIGH, "存储卡死：此后的事件在断电或重启后不保留", "the store is stuck: what happens now does not survive a restart",
                      "请检查存储卡或磁盘，必要时更换", "look after the card or disk; exchange it when this comes again"},
    [VITALS_BACKLOG] = {PRIORITY_MEDIUM, "补传读取卡死：较早的记录暂时无法补传", "reading the backlog is stuck: what is older is not sent for now",
                        "请检查存储卡或磁盘", "look after the card or disk"},
    [VITALS_PUMP] = {PRIORITY_HIGH, "MQTT 发送卡死：报警暂时无法送达", "MQTT is stuck: alarms cannot be delivered",
                     "请检查网络与域名解析；必要时重启网关服务", "look after the network and its name service; restart the gateway's service when this lasts"},
    [VITALS_LINK] = {PRIORITY_HIGH, "上行 %s 卡死：报警暂时无法经它送达", "the uplink %s is stuck: it delivers no alarms",
                     "请检查到该服务器的网络", "look after the network to this broker"},
    [VITALS_CONTROL] = {PRIORITY_MEDIUM, "本机控制接口卡死：现场命令暂不可用", "the control socket is stuck: commands on this machine are not answered",
                        "请重启网关服务", "restart the gateway's service"},
};

static const char *subject(const struct core *core, const struct vitals_part *part) {
    return part->kind == VITALS_LINE   ? core->config->buses[part->index].name
           : part->kind == VITALS_LINK ? core->config->uplinks[part->index].name
                                       : "";
}

static const char *keep_text(struct arena *arena, const char *format, const char *name) {
    char text[EVENT_TEXT_SIZE];
    const char *mark = strstr(format, "%s");
    if (!mark)
        return format;
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(mark - format), format, name, mark + 2);
    return arena_text(arena, text, strlen(text));
}

uint16_t core_vitals_init(struct core *core, struct arena *arena) {
    struct core_vitals *vitals = &core->vitals;
    vitals->count = vitals_parts(core->config, vitals->parts);
    vitals->restart_due = CONFIG_NONE;
    vitals->rules = arena_take(arena, vitals->count, sizeof(*vitals->rules));
    for (uint16_t i = 0; i < vitals->count; i++) {
        const struct part_text *text = &texts[vitals->parts[i].kind];
        const char *name = subject(core, &vitals->parts[i]);
        vitals->rules[i] = (struct config_alarm){.name = vitals->parts[i].name,
                                                 .device = CONFIG_NONE,
                                                 .point = CONFIG_NONE,
                                                 .condition = CONDITION_COMMUNICATION,
                                                 .of_n = 1,
                                                 .of_m = 1,
                                                 .class = CLASS_FAULT,
                                                 .priority = text->priority,
                                                 .zh = keep_text(arena, text->zh, name),
                                                 .en = keep_text(arena, text->en, name),
                                                 .action = CONFIG_NONE,
                                                 .suppressed_by = CONFIG_NONE,
                                                 .remedy_zh = text->remedy_zh,
                                                 .remedy_en = text->remedy_en,
                                                 .basis_zh = "",
                                                 .basis_en = "",
                                                 .rule_set = ""};
    }
    core->counters->vitals.parts = vitals->parts;
    core->counters->vitals.count = vitals->count;
    core->counters->vitals.attention = true;
    return vitals->count;
}

/* ---- what happened ---- */

static void trace_change(struct core *core, const struct now *now, struct vitals_part *part, enum vitals_state before) {
    long long ms = (long long)(now->mono_us - part->since_us) / 1000;
    if (part->state == before)
        return;
    if (part->state == VITALS_LATE && now->mono_us >= part->tell_us) {
        part->told_late = true;
        part->tell_us = now->mono_us + VITALS_TOLD_US;
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "part %s late by=%lldms", part->name, ms);
    } else if (part->state == VITALS_STUCK) {
        part->told_late = true;
        trace_add(core->trace, now->mono_us, TRACE_ERROR, "part %s stuck since=%lldms", part->name, ms);
    } else if (part->state == VITALS_FINE && part->told_late) {
        part->told_late = false;
        trace_add(core->trace, now->mono_us, TRACE_INFO, "part %s fine again after=%lldms", part->name, ms);
    }
}

static void look(struct core *core, const struct event *event, uint16_t index) {
    const struct now *now = &event->now;
    struct core_vitals *vitals = &core->vitals;
    struct vitals_part *part = &vitals->parts[index];
    const struct vitals_around around = {.may_restart = event->vitals.may_restart && !core->stopping, .is_volatile = core->counters->disk.is_volatile};
    enum vitals_state before = part->state;
    enum vitals_act act = vitals_look(part, &event->vitals.bounds[part->kind], now, event->vitals.busy_us[index], &around);
    if (before != VITALS_STUCK && act != VITALS_NOTHING) { /* it was stuck, if only for this step */
        enum vitals_state after = part->state;
        part->state = VITALS_STUCK;
        trace_change(core, now, part, before);
        part->state = after;
    } else {
        trace_change(core, now, part, before);
    }
    if (act == VITALS_REPLACE && part->kind == VITALS_LINE)
        vitals->replace_due |= UINT64_C(1) << index;
    if (act == VITALS_REPLACE)
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "part %s replaced times=%u", part->name, part->replaced_count);
    if (act == VITALS_RESTART)
        vitals->restart_due = index;
}

static void judge(struct core *core, const struct now *now, uint16_t index) {
    const struct vitals_part *part = &core->vitals.parts[index];
    uint16_t alarm = (uint16_t)(core->config->alarms_count + index);
    if (vitals_alarm(part))
        core_judge_truth(core, now, alarm, true);
    else if (core->alarms[alarm].judged || now->mono_us >= core->vitals.settled_us) /* before, nobody knows how it is */
        core_judge_truth(core, now, alarm, false);
}

void core_on_vitals(struct core *core, const struct event *event) {
    const struct now *now = &event->now;
    struct core_vitals *vitals = &core->vitals;
    bool store_stuck = false, attention = now->mono_us < vitals->settled_us;
    for (uint16_t i = 0; i < vitals->count; i++) {
        look(core, event, i);
        judge(core, now, i);
        attention = attention || vitals->parts[i].state != VITALS_FINE;
        store_stuck = store_stuck || (vitals->parts[i].kind == VITALS_STORE && vitals_alarm(&vitals->parts[i]));
    }
    core->counters->vitals.attention = attention;
    if (event->vitals.loop_late_us) {
        core->counters->vitals.loop_late++;
        if (event->vitals.loop_late_us > core->counters->vitals.loop_late_max_us)
            core->counters->vitals.loop_late_max_us = event->vitals.loop_late_us;
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "the loop was late by=%lldms", (long long)(event->vitals.loop_late_us / 1000));
    }
    if (store_stuck != vitals->store_stuck) {
        struct disk_status disk = vitals->disk;
        vitals->store_stuck = store_stuck;
        core_on_disk(core, now, &disk);
    }
}

void core_on_last_words(struct core *core, const struct now *now, const char *words, const char *restarted_for) {
    trace_add(core->trace, now->mono_us, TRACE_WARNING, "the gateway before this one did not end in order: %s", words);
    core_seal_system(core, now, ENTRY_SYSTEM, "last-words", words, 0);
    for (uint16_t i = 0; restarted_for && i < core->vitals.count; i++)
        if (strcmp(core->vitals.parts[i].name, restarted_for) == 0)
            vitals_restarted(&core->vitals.parts[i], now);
}

/* ---- what is wished for ---- */

void core_pump_vitals(struct core *core, struct effects *effects) {
    struct core_vitals *vitals = &core->vitals;
    for (uint16_t i = 0; vitals->replace_due && i < vitals->count; i++) {
        if (!(vitals->replace_due & UINT64_C(1) << i))
            continue;
        struct effect *effect = effects_add(effects, EFFECT_REPLACE);
        if (!effect)
            return;
        effect->replace.bus = vitals->parts[i].index;
        vitals->replace_due &= ~(UINT64_C(1) << i);
    }
    if (vitals->restart_due == CONFIG_NONE)
        return;
    struct effect *effect = effects_add(effects, EFFECT_RESTART);
    if (!effect)
        return;
    effect->restart.part = vitals->parts[vitals->restart_due].name;
    vitals->restart_due = CONFIG_NONE;
}
