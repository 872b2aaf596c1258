/* SPDX-License-Identifier: Apache-2.0 */
/* The list of one place, from top to bottom: its head; an item for each alarm, the most urgent class first, in the order of the
 * configuration within a class; the devices whose silence is an alarm; what is not watched, and why: something is missing, or the site
 * removed it. Everything stands in the configuration: an alarm that a site wrote itself is an item like one of the ready rules, only without remedy and basis when it
 * has none. Chinese comes first where both languages are wanted; an item has one number and one box to tick. */
#include "config/checklist.h"

#include <string.h>

#include "base/check.h"
#include "base/text.h"

#define CONDITION_SIZE 1024
#define LANGUAGES 2 /* 0 Chinese, 1 English, in every table here */
#define CLASSES 5

static const char *const class_words[][LANGUAGES] = {
    {"消防", "fire"}, {"电气", "electrical"}, {"合规", "compliance"}, {"故障", "fault"}, {"维护", "maintenance"}};
static const char *const priority_words[][LANGUAGES] = {{"低", "low"}, {"中", "medium"}, {"高", "high"}};
static const char *const confidence_words[][LANGUAGES] = {
    {"依据已确认", "confirmed"}, {"依据较可信", "likely"}, {"建议值，待确认", "a proposal, not confirmed"}};
static const char *const kind_words[][LANGUAGES] = {{"充电场所", "charging"}, {"厨房", "kitchen"}, {"冷库", "cold store"}, {"其它", "other"}};
static const char *const state_words[][LANGUAGES] = {{"开", "on"}, {"关", "off"}, {"报警", "alarm"}, {"正常", "normal"}};

/* ---- words ---- */

/* Not every alarm says everything. */
static const char *or_empty(const char *text) {
    return text ? text : "";
}

static const char *point_name(const struct point *point, unsigned language) {
    const char *name = or_empty(language ? point->en : point->zh);
    return *name ? name : point->name;
}

static void add_duration(struct text *text, uint32_t ms, unsigned language) {
    static const char *const units[][LANGUAGES] = {{" 小时", " h"}, {" 分钟", " min"}, {" 秒", " s"}};
    unsigned unit = ms % 3600000 == 0 ? 0 : ms % 60000 == 0 ? 1 : 2;
    text_add_double(text, (double)ms / (unit == 0 ? 3600000 : unit == 1 ? 60000 : 1000));
    text_add(text, units[unit][language]);
}

static void add_lasting(struct text *text, uint32_t ms, unsigned language) {
    if (!ms)
        return;
    text_add(text, language ? " for " : "，持续 ");
    add_duration(text, ms, language);
}

static void add_amount(struct text *text, double amount, const char *unit) {
    text_add_double(text, amount);
    if (*unit) {
        text_add_char(text, ' ');
        text_add(text, unit);
    }
}

static void add_limit(struct text *text, bool above, double limit, const char *unit, unsigned language) {
    text_add(text, above ? (language ? " above " : " 高于 ") : (language ? " below " : " 低于 "));
    add_amount(text, limit, unit);
}

/* In the language that is wanted, or in both with `between` between them. */
static void print_both(const char *zh, const char *en, const char *between, enum checklist_language language, FILE *to) {
    fprintf(to, "%s%s%s", language & CHECKLIST_ZH ? zh : "", language == CHECKLIST_BOTH ? between : "", language & CHECKLIST_EN ? en : "");
}

/* A state by the name that its point has for it; `on` and `off` of a point that has none. */
static void add_state(struct text *text, const struct point *point, const char *label, double value, unsigned language) {
    for (unsigned i = 0; !label && i < point->labels_count; i++)
        if ((double)point->labels[i].value == value)
            label = point->labels[i].name;
    if (!label && (value == 0 || value == 1) && !*point->unit)
        label = value == 1 ? "on" : "off";
    for (size_t i = 0; label && i < ARRAY_COUNT(state_words); i++)
        if (strcmp(state_words[i][1], label) == 0)
            label = state_words[i][language];
    if (label)
        text_add(text, label);
    else
        text_add_double(text, value);
}

static void add_point(struct text *text, const struct config *config, uint16_t device, uint16_t point, unsigned language) {
    text_add(text, config->devices[device].spec.name);
    text_add_char(text, ' ');
    text_add(text, point_name(config_point(config, device, point), language));
}

/* ---- conditions ---- */

static void add_term(struct text *text, const struct config *config, const struct config_term *term, unsigned language, bool top);

static void add_group(struct text *text, const struct config *config, const struct config_term *group, unsigned language, bool top) {
    static const char *const all[] = {" 且 ", " and "}, *const any[] = {" 或 ", " or "};
    const char *joint = "";
    bool braced = group->kind == TERM_NOT ? group[1].span == 1 : !top; /* a group below `not` has its own */
    if (group->kind == TERM_NOT)
        text_add(text, language ? "not " : "非");
    text_add(text, braced ? "(" : "");
    for (uint16_t at = 1; at < group->span; at = (uint16_t)(at + group[at].span)) {
        text_add(text, joint);
        add_term(text, config, &group[at], language, false);
        joint = (group->kind == TERM_ANY ? any : all)[language];
    }
    text_add(text, braced ? ")" : "");
}

static void add_term(struct text *text, const struct config *config, const struct config_term *term, unsigned language, bool top) {
    if (term->kind == TERM_ALL || term->kind == TERM_ANY || term->kind == TERM_NOT) {
        add_group(text, config, term, language, top);
    } else if (term->kind == TERM_OPEN) {
        text_add(text, config->places[term->place].name);
        text_add(text, language ? " is open" : " 营业时间内");
    } else {
        const struct point *point = config_point(config, term->device, term->point);
        add_point(text, config, term->device, term->point, language);
        if (term->kind == TERM_MISSING) {
            text_add(text, language ? " has no valid reading" : " 无有效读数");
        } else if (term->kind == TERM_EQUAL) {
            text_add(text, language ? " is " : " 为 ");
            add_state(text, point, NULL, term->limit, language);
        } else {
            add_limit(text, term->kind == TERM_ABOVE, term->limit, point->unit, language);
        }
    }
    add_lasting(text, term->on_delay_ms, language);
}

static void add_simple(struct text *text, const struct config *config, const struct config_alarm *alarm, unsigned language) {
    const struct point *point = config_point(config, alarm->device, alarm->point);
    add_point(text, config, alarm->device, alarm->point, language);
    if (alarm->condition == CONDITION_EQUAL) {
        text_add(text, language ? " is " : " 为 ");
        add_state(text, point, alarm->label, alarm->limit, language);
        return;
    }
    add_limit(text, alarm->condition == CONDITION_ABOVE, alarm->limit, point->unit, language);
}

/* A limit that a person would write: without the noise of the last binary digit. */
static void add_clearing(struct text *text, const struct config *config, const struct config_alarm *alarm, unsigned language) {
    double clears = alarm->condition == CONDITION_ABOVE ? alarm->limit - alarm->deadband : alarm->limit + alarm->deadband;
    if (alarm->point == CONFIG_NONE || alarm->deadband == 0)
        return;
    text_add(text, language ? ", clears at " : "，回到 ");
    add_amount(text, (double)(int64_t)(clears * 1e6 + (clears < 0 ? -0.5 : 0.5)) / 1e6, config_point(config, alarm->device, alarm->point)->unit);
    text_add(text, language ? "" : " 解除");
}

static void print_condition(const struct config *config, const struct config_alarm *alarm, unsigned language, FILE *to) {
    char bytes[CONDITION_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof(bytes));
    if (alarm->condition == CONDITION_COMPOSITE)
        add_term(&text, config, &config->terms[alarm->first_term], language, true);
    else
        add_simple(&text, config, alarm, language);
    add_lasting(&text, alarm->on_delay_ms, language);
    if (alarm->of_m > 1) {
        text_add(&text, language ? ", in " : "，最近 ");
        text_add_u64(&text, language ? alarm->of_n : alarm->of_m);
        text_add(&text, language ? " of the last " : " 次读数中 ");
        text_add_u64(&text, language ? alarm->of_m : alarm->of_n);
        text_add(&text, language ? " readings" : " 次");
    }
    add_clearing(&text, config, alarm, language);
    fprintf(to, language ? "       when:   %s\n" : "       条件：%s\n", bytes);
}

/* ---- one item ---- */

static void print_actions(const struct config *config, uint16_t index, unsigned language, FILE *to) {
    unsigned count = 0;
    for (uint16_t i = 0; i < config->actions_count; i++) {
        const struct config_action *action = &config->actions[i];
        char bytes[VALUE_TEXT_SIZE];
        struct text text;
        if (action->alarm != index)
            continue;
        text_init(&text, bytes, sizeof(bytes));
        add_state(&text, config_point(config, action->device, action->point), NULL, action->value, language);
        fprintf(to, language ? "       action: %s writes %s/%s: %s\n" : "       联动：%s 写 %s/%s 为 %s\n", action->name,
                config->devices[action->device].spec.name, config_point(config, action->device, action->point)->name, bytes);
        count++;
    }
    if (!count)
        fputs(language ? "       action: none, it is only told\n" : "       联动：无，只通知\n", to);
}

static void print_text(const struct config *config, uint16_t index, unsigned language, FILE *to) {
    const struct config_alarm *alarm = &config->alarms[index];
    const char *remedy = or_empty(language ? alarm->remedy_en : alarm->remedy_zh), *basis = or_empty(language ? alarm->basis_en : alarm->basis_zh);
    print_condition(config, alarm, language, to);
    fprintf(to, language ? "       class:  %s, priority %s%s\n" : "       级别：%s，优先级%s%s\n", class_words[alarm->class][language],
            priority_words[alarm->priority][language],
            !alarm->latch ? ""
            : language    ? ", stays until it is reset"
                          : "，须人工复位");
    if (*remedy)
        fprintf(to, language ? "       do:     %s\n" : "       处置：%s\n", remedy);
    if (*basis)
        fprintf(to, language ? "       ground: %s (%s)\n" : "       依据：%s（%s）\n", basis, confidence_words[alarm->confidence][language]);
    else
        fputs(language ? "       ground: none is given\n" : "       依据：未注明\n", to);
    print_actions(config, index, language, to);
}

static void print_item(const struct config *config, uint16_t index, unsigned number, enum checklist_language language, FILE *to) {
    const struct config_alarm *alarm = &config->alarms[index];
    const struct config_device *device = &config->devices[alarm->device];
    fprintf(to, "[ ] %2u. ", number);
    print_both(or_empty(alarm->zh), or_empty(alarm->en), "  ", language, to);
    fprintf(to, "  [%s/%s]%s%s\n", device->spec.name, alarm->name, *or_empty(device->location) ? "  " : "", or_empty(device->location));
    for (unsigned i = 0; i < LANGUAGES; i++)
        if (language & (1u << i))
            print_text(config, index, i, to);
}

/* ---- one place ---- */

static bool is_item(const struct config *config, uint16_t index, uint16_t place) {
    const struct config_alarm *alarm = &config->alarms[index];
    return config->devices[alarm->device].place == place && alarm->condition != CONDITION_COMMUNICATION && alarm->condition != CONDITION_ACTION;
}

static void print_silence(const struct config *config, uint16_t place, enum checklist_language language, FILE *to) {
    bool any = false;
    for (uint16_t i = 0; i < config->alarms_count; i++) {
        const struct config_alarm *alarm = &config->alarms[i];
        if (alarm->condition != CONDITION_COMMUNICATION || config->devices[alarm->device].place != place)
            continue;
        if (!any)
            print_both("失联即报警的设备", "devices whose silence is an alarm", "  ", language, to);
        fprintf(to, "%s%s", any ? ", " : ": ", config->devices[alarm->device].spec.name);
        any = true;
    }
    fputs(any ? "\n" : "", to);
}

static void print_gap(const struct config *config, const struct config_unwatched *gap, unsigned language, enum checklist_language wanted, FILE *to) {
    const char *device = gap->device == CONFIG_NONE ? "" : config->devices[gap->device].spec.name, *colon = language ? ": " : "：";
    fprintf(to, "  %c %s", language && wanted == CHECKLIST_BOTH ? ' ' : '!', language ? gap->what_en : gap->what_zh);
    if (gap->removed)
        fprintf(to, "  [%s/%s]\n", device, gap->removed);
    else
        fprintf(to, "%s%s%s%s\n", colon, device, *device ? colon : "", language ? gap->missing_en : gap->missing_zh);
}

/* What something is missing for, or what the site does not want. */
static void print_unwatched(const struct config *config, uint16_t place, bool removed, enum checklist_language language, FILE *to) {
    bool any = false;
    for (uint16_t i = 0; i < config->unwatched_count; i++) {
        const struct config_unwatched *gap = &config->unwatched[i];
        if (gap->place != place || (gap->removed != NULL) != removed)
            continue;
        if (!any) {
            print_both(removed ? "未监视（本站配置已移除）" : "未监视（缺少设备或参数）",
                       removed ? "NOT watched, because this site removed it" : "NOT watched, because something is missing", "  ", language, to);
            fputc('\n', to);
        }
        any = true;
        for (unsigned k = 0; k < LANGUAGES; k++)
            if (language & (1u << k))
                print_gap(config, gap, k, language, to);
    }
}

static void print_head(const struct config *config, uint16_t index, unsigned items, enum checklist_language language, FILE *to) {
    if (index == CONFIG_NONE) {
        print_both("未分配场所的设备", "devices without a place", "  ", language, to);
    } else {
        const struct config_place *place = &config->places[index];
        fprintf(to, "%s [%s]  ", place->name, place->key);
        print_both(kind_words[place->kind][0], kind_words[place->kind][1], " ", language, to);
        const char *const more[] = {place->address, place->responsible, place->phone};
        for (size_t i = 0; i < ARRAY_COUNT(more); i++)
            fprintf(to, "%s%s", *or_empty(more[i]) ? "  " : "", or_empty(more[i]));
    }
    fputc('\n', to);
    print_both("必查清单", "must-check list", "  ", language, to);
    fprintf(to, ": %u\n", items);
}

static void print_place(const struct config *config, uint16_t place, enum checklist_language language, FILE *to) {
    unsigned items = 0, number = 0;
    for (uint16_t i = 0; i < config->alarms_count; i++)
        items += is_item(config, i, place);
    print_head(config, place, items, language, to);
    for (unsigned class = 0; class < CLASSES; class ++)
        for (uint16_t i = 0; i < config->alarms_count; i++)
            if (is_item(config, i, place) && config->alarms[i].class == (enum alarm_class) class)
                print_item(config, i, ++number, language, to);
    print_silence(config, place, language, to);
    print_unwatched(config, place, false, language, to);
    print_unwatched(config, place, true, language, to);
    fputc('\n', to);
}

void checklist_print(const struct config *config, uint16_t place, enum checklist_language language, FILE *to) {
    bool homeless = false;
    for (uint16_t i = 0; i < config->places_count; i++)
        if (place == CONFIG_NONE || place == i)
            print_place(config, i, language, to);
    for (uint16_t i = 0; i < config->devices_count; i++)
        homeless = homeless || config->devices[i].place == CONFIG_NONE;
    if (place == CONFIG_NONE && homeless)
        print_place(config, CONFIG_NONE, language, to);
    if (language & CHECKLIST_ZH)
        fputs("本网关是消防报警系统的补充，不能代替经认证的火灾自动报警系统。油烟在线读数不是法定监测结果。\n", to);
    if (language & CHECKLIST_EN)
        fputs("The gateway supplements, and never replaces, a certified fire alarm system. An online fume reading is not the legal measurement.\n",
              to);
}
