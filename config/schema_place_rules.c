/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys, third part: the ready rules of one kind of place (docs/rules.md). */
#include "config/schema_rows.h"

static const struct schema_key kind_item = {.name = "devices", .type = SCHEMA_ENUM, .words = DEVICE_KINDS};
static const struct schema_key role_item = {.name = "roles", .type = SCHEMA_ENUM, .words = DEVICE_ROLES};
static const struct schema_key need_item = {.name = "needs", .type = SCHEMA_TEXT, .max = NAME_SIZE - 1};
static const struct schema_key name_item = {.name = "name", .type = SCHEMA_NAME};
static const struct schema_key limit_item = {.name = "limit", .type = SCHEMA_QUANTITY};

/* Which devices a rule or a derived point is for; both have it. */
static const struct schema_key rule_for_keys[] = {
    {.name = "devices",
     .type = SCHEMA_LIST,
     .item = &kind_item,
     .min = 1,
     .max = 16,
     .required = true,
     .en = "Kinds of devices, as profiles name them.",
     .zh = "适用的设备类别（与设备模板的 kind 相同）。"},
    {.name = "roles",
     .type = SCHEMA_LIST,
     .item = &role_item,
     .min = 1,
     .max = 8,
     .en = "Only devices with one of these roles.",
     .zh = "只用于具有其中一种 role 的设备。"},
    {.name = "needs",
     .type = SCHEMA_LIST,
     .item = &need_item,
     .min = 1,
     .max = RULE_NEEDS_MAX,
     .required = true,
     .en = "Points it is about, the device's own first; a '*' at the end stands for nothing or a channel: -1, -12, -l1.",
     .zh = "所需测点，首个须在设备自身；末尾的 * 代表无后缀或通道号：-1、-12、-l1。"},
    {.name = "unless",
     .type = SCHEMA_LIST,
     .item = &name_item,
     .min = 1,
     .max = RULE_NEEDS_MAX,
     .en = "Not a device that has one of these points.",
     .zh = "设备已有其中一个测点时不用。"},
    {.name = "stoves",
     .type = SCHEMA_BOOL,
     .fallback = "false",
     .en = "Only where the place says how many stoves it has.",
     .zh = "只用于写明灶头数的场所。"},
};
SHAPE(schema_rule_for, rule_for_keys);

static const struct schema_key title_keys[] = {
    {.name = "zh", .type = SCHEMA_TEXT, .max = 96, .required = true, .en = "In Chinese.", .zh = "中文。"},
    {.name = "en", .type = SCHEMA_TEXT, .max = 96, .required = true, .en = "In English.", .zh = "英文。"},
};
static SHAPE(schema_title, title_keys);

static const struct schema_key rated_keys[] = {
    {.name = "above", .type = SCHEMA_REAL, .min = 0.01, .max = 100, .en = "Times rated_current.", .zh = "额定电流的倍数。"},
    {.name = "deadband", .type = SCHEMA_REAL, .min = 0, .max = 100, .en = "Times rated_current.", .zh = "额定电流的倍数。"},
};
static SHAPE(schema_rated, rated_keys);

static const struct schema_key rule_derived_keys[] = {
    {.name = "for", .type = SCHEMA_MAP, .of = &schema_rule_for, .required = true, .en = "Which devices it is for.", .zh = "适用的设备。"},
    {.name = "point", .type = SCHEMA_MAP, .of = &schema_derived, .required = true, .en = "The derived point, as under 'derived:' of a site.", .zh = "派生测点。"},
};
static SHAPE(schema_rule_derived, rule_derived_keys);

static const struct schema_key rule_keys[] = {
    {.name = "title", .type = SCHEMA_MAP, .of = &schema_title, .required = true, .en = "What it watches.", .zh = "监视什么。"},
    {.name = "for", .type = SCHEMA_MAP, .of = &schema_rule_for, .required = true, .en = "Which devices it is for.", .zh = "适用的设备。"},
    {.name = "rated",
     .type = SCHEMA_MAP,
     .of = &schema_rated,
     .en = "Limits in times the device's rated_current.",
     .zh = "以额定电流倍数表示的限值。"},
    {.name = "by_stoves",
     .type = SCHEMA_NAMES,
     .number_keys = true,
     .item = &limit_item,
     .max = 8,
     .en = "The limit 'above' by the number of stoves, from so many on: {0: 90 d, 3: 60 d, 6: 30 d}.",
     .zh = "按灶头数取限值（从该数起）：{0: 90 d, 3: 60 d, 6: 30 d}。"},
    {.name = "enriches",
     .type = SCHEMA_LIST,
     .item = &name_item,
     .min = 1,
     .max = 8,
     .en = "Alarms of profiles that watch the same: the first that the profile has keeps its limit and gets remedy and basis.",
     .zh = "监视同一事项的模板报警：保留其限值，只补充处置与依据。"},
    {.name = "instead_of",
     .type = SCHEMA_LIST,
     .item = &name_item,
     .min = 1,
     .max = 8,
     .en = "Alarms of profiles whose name and place this one takes: the first that the profile has.",
     .zh = "被本规则取代（沿用其名称）的模板报警：取模板中有的第一个。"},
    {.name = "optional",
     .type = SCHEMA_BOOL,
     .fallback = "false",
     .en = "Its absence is nothing to be told in the checklist.",
     .zh = "缺少时不必在清单中提示。"},
    {.name = "alarm",
     .type = SCHEMA_MAP,
     .of = &schema_alarm,
     .en = "The alarm, as under 'alarms:' of a site; none: only the points are shown.",
     .zh = "报警；无则只显示测点。"},
};
SHAPE(schema_rule, rule_keys);

static const struct schema_key rules_keys[] = {
    {.name = "place",
     .type = SCHEMA_ENUM,
     .words = PLACE_KINDS,
     .required = true,
     .en = "The kind of place, as its file is named.",
     .zh = "场所类别，与文件名相同。"},
    {.name = "derived",
     .type = SCHEMA_MAP_OF,
     .of = &schema_rule_derived,
     .max = RULES_PER_KIND_MAX,
     .en = "Points that rules may need and a device can be computed to have.",
     .zh = "规则可用的派生测点。"},
    {.name = "rules", .type = SCHEMA_MAP_OF, .of = &schema_rule, .required = true, .max = RULES_PER_KIND_MAX, .en = "The rules.", .zh = "规则。"},
};
SHAPE(schema_rules, rules_keys);
