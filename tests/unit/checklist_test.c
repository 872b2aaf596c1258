/* SPDX-License-Identifier: Apache-2.0 */
/* The checklist of a configuration made by hand: every kind of condition, word by word, in each language. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/checklist.h"

static const struct enumeration_label fan_labels[] = {{.value = 0, .name = "off"}, {.value = 1, .name = "on"}};
static const struct point fume_points[] = {
    {.name = "fan", .zh = "风机", .en = "fan", .unit = "", .labels = fan_labels, .labels_count = 2},
    {.name = "purifier", .unit = "", .labels = fan_labels, .labels_count = 2},
    {.name = "fume", .zh = "油烟浓度", .en = "fume", .unit = "mg/m³"},
};
static const struct point relay_points[] = {{.name = "channel-1", .zh = "第1路", .en = "channel 1", .unit = ""}};

static const struct config_place places[] = {
    {.key = "kitchen", .name = "好味道", .address = "中山路 8 号", .responsible = "", .phone = "0573-1", .kind = PLACE_KITCHEN},
    {.key = "empty", .name = "empty", .address = "", .responsible = "", .phone = "", .kind = PLACE_OTHER},
};
static const struct config_device devices[] = {
    {.spec = {.name = "fume-1", .points = fume_points, .points_count = 3}, .place = 0, .location = "排烟管"},
    {.spec = {.name = "relay-1", .points = relay_points, .points_count = 1}, .place = 0, .location = ""},
    {.spec = {.name = "lost-1", .points = relay_points, .points_count = 1}, .place = CONFIG_NONE, .location = ""},
};
/* (fan is on, and not (purifier is on or purifier has no reading for 30 s) and open, and fume below 1 */
static const struct config_term terms[] = {
    {.kind = TERM_ALL, .span = 8},
    {.kind = TERM_EQUAL, .span = 1, .device = 0, .point = 0, .limit = 1},
    {.kind = TERM_NOT, .span = 4},
    {.kind = TERM_ANY, .span = 3},
    {.kind = TERM_EQUAL, .span = 1, .device = 0, .point = 1, .limit = 1},
    {.kind = TERM_MISSING, .span = 1, .device = 0, .point = 1, .on_delay_ms = 30000},
    {.kind = TERM_OPEN, .span = 1, .place = 0},
    {.kind = TERM_BELOW, .span = 1, .device = 0, .point = 2, .limit = 1},
};
static const struct config_alarm alarms[] = {
    {.name = "purifier-off",
     .device = 0,
     .point = CONFIG_NONE,
     .condition = CONDITION_COMPOSITE,
     .terms_count = 8,
     .on_delay_ms = 180000,
     .class = CLASS_COMPLIANCE,
     .priority = PRIORITY_MEDIUM,
     .zh = "净化器未开",
     .en = "purifier off",
     .remedy_zh = "开启净化器",
     .remedy_en = "switch it on",
     .basis_zh = "大气污染防治法",
     .basis_en = "Air Pollution Law",
     .confidence = CONFIDENCE_LIKELY,
     .rule_set = "kitchen"},
    {.name = "communication", .device = 0, .point = CONFIG_NONE, .condition = CONDITION_COMMUNICATION, .class = CLASS_FAULT, .zh = "", .en = ""},
    {.name = "fume-high",
     .device = 0,
     .point = 2,
     .condition = CONDITION_ABOVE,
     .limit = 2,
     .deadband = 0.2,
     .on_delay_ms = 7200000,
     .of_n = 2,
     .of_m = 3,
     .class = CLASS_FIRE,
     .priority = PRIORITY_HIGH,
     .latch = true,
     .zh = "油烟高",
     .en = "fume high"},
    {.name = "action-cut", .device = 1, .point = CONFIG_NONE, .condition = CONDITION_ACTION, .class = CLASS_FAULT, .zh = "", .en = ""},
};
static const struct config_action actions[] = {{.name = "cut", .alarm = 2, .device = 1, .point = 0, .value = 0}};
static const struct config_unwatched unwatched[] = {
    {.place = 0, .device = 0, .what_zh = "折算", .what_en = "converted", .missing_zh = "没有测点 flow", .missing_en = "no point 'flow'"},
    {.place = 0, .device = 0, .what_zh = "无风机油烟", .what_en = "fume without fan", .removed = "fume-without-fan"},
    {.place = 0, .device = CONFIG_NONE, .what_zh = "燃气", .what_en = "gas", .missing_zh = "没有探测器", .missing_en = "no detector"},
};
static const struct config config = {.places_count = 2,
                                     .devices_count = 3,
                                     .alarms_count = 4,
                                     .actions_count = 1,
                                     .terms_count = 8,
                                     .unwatched_count = 3,
                                     .places = places,
                                     .devices = devices,
                                     .alarms = alarms,
                                     .actions = actions,
                                     .terms = terms,
                                     .unwatched = unwatched};

static void assert_list(uint16_t place, enum checklist_language language, const char *expected) {
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    checklist_print(&config, place, language, memory);
    fclose(memory);
    assert_string_equal(text, expected);
    free(text);
}

static void in_english(void **state) {
    (void)state;
    assert_list(
        0, CHECKLIST_EN,
        "好味道 [kitchen]  kitchen  中山路 8 号  0573-1\n"
        "must-check list: 2\n"
        "[ ]  1. fume high  [fume-1/fume-high]  排烟管\n"
        "       when:   fume-1 fume above 2 mg/m³ for 2 h, in 2 of the last 3 readings, clears at 1.8 mg/m³\n"
        "       class:  fire, priority high, stays until it is reset\n"
        "       ground: none is given\n"
        "       action: cut writes relay-1/channel-1: off\n"
        "[ ]  2. purifier off  [fume-1/purifier-off]  排烟管\n"
        "       when:   fume-1 fan is on and not (fume-1 purifier is on or fume-1 purifier has no valid reading for 30 s) and 好味道 is open and "
        "fume-1 fume below 1 mg/m³ for 3 min\n"
        "       class:  compliance, priority medium\n"
        "       do:     switch it on\n"
        "       ground: Air Pollution Law (likely)\n"
        "       action: none, it is only told\n"
        "devices whose silence is an alarm: fume-1\n"
        "NOT watched, because something is missing\n"
        "  ! converted: fume-1: no point 'flow'\n"
        "  ! gas: no detector\n"
        "NOT watched, because this site removed it\n"
        "  ! fume without fan  [fume-1/fume-without-fan]\n\n"
        "The gateway supplements, and never replaces, a certified fire alarm system. An online fume reading is not the legal measurement.\n");
}

static void in_chinese(void **state) {
    (void)state;
    assert_list(0, CHECKLIST_ZH,
                "好味道 [kitchen]  厨房  中山路 8 号  0573-1\n"
                "必查清单: 2\n"
                "[ ]  1. 油烟高  [fume-1/fume-high]  排烟管\n"
                "       条件：fume-1 油烟浓度 高于 2 mg/m³，持续 2 小时，最近 3 次读数中 2 次，回到 1.8 mg/m³ 解除\n"
                "       级别：消防，优先级高，须人工复位\n"
                "       依据：未注明\n"
                "       联动：cut 写 relay-1/channel-1 为 关\n"
                "[ ]  2. 净化器未开  [fume-1/purifier-off]  排烟管\n"
                "       条件：fume-1 风机 为 开 且 非(fume-1 purifier 为 开 或 fume-1 purifier 无有效读数，持续 30 秒) 且 好味道 营业时间内 且 "
                "fume-1 油烟浓度 低于 1 mg/m³，持续 3 分钟\n"
                "       级别：合规，优先级中\n"
                "       处置：开启净化器\n"
                "       依据：大气污染防治法（依据较可信）\n"
                "       联动：无，只通知\n"
                "失联即报警的设备: fume-1\n"
                "未监视（缺少设备或参数）\n"
                "  ! 折算：fume-1：没有测点 flow\n"
                "  ! 燃气：没有探测器\n"
                "未监视（本站配置已移除）\n"
                "  ! 无风机油烟  [fume-1/fume-without-fan]\n\n"
                "本网关是消防报警系统的补充，不能代替经认证的火灾自动报警系统。油烟在线读数不是法定监测结果。\n");
}

/* All places, both languages: each item once, and what has no place is not left out. */
static void everything(void **state) {
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    checklist_print(&config, CONFIG_NONE, CHECKLIST_BOTH, memory);
    fclose(memory);
    assert_non_null(strstr(text, "[ ]  1. 油烟高  fume high  [fume-1/fume-high]"));
    assert_non_null(strstr(text, "       条件：fume-1 油烟浓度 高于 2 mg/m³"));
    assert_non_null(strstr(text, "       when:   fume-1 fume above 2 mg/m³"));
    assert_non_null(strstr(text, "  ! 折算：fume-1：没有测点 flow\n    converted: fume-1: no point 'flow'\n"));
    assert_non_null(strstr(text, "  ! 无风机油烟  [fume-1/fume-without-fan]\n    fume without fan  [fume-1/fume-without-fan]\n"));
    assert_non_null(strstr(text, "empty [empty]  其它 other\n必查清单  must-check list: 0\n\n"));
    assert_non_null(strstr(text, "未分配场所的设备  devices without a place\n必查清单  must-check list: 0\n\n"));
    assert_null(strstr(text, "action-cut"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_english), cmocka_unit_test(in_chinese), cmocka_unit_test(everything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
