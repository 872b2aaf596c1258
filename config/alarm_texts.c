/* SPDX-License-Identifier: Apache-2.0 */
/* What a person reads when nobody wrote a text: the condition in words, in Chinese and English. A condition of several is told
 * whole when it fits, else by how many there are. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/loader.h"

#define TEXT_SIZE 193 /* as long as one that is written */

enum language { ZH, EN };

static const char *const limit_words[2][3] = {{"高于", "低于", "为"}, {" above", " below", " is"}};

static bool has_fire_point(const struct loader *loader, uint16_t device) {
    const struct device_spec *spec = &loader->devices[device].spec;
    for (uint16_t i = 0; i < spec->points_count; i++)
        if (!spec->points[i].derived && spec->points[i].class == CLASS_FIRE)
            return true;
    return false;
}

static const char *name_in(const struct point *point, enum language language) {
    const char *name = language == ZH ? point->zh : point->en;
    return name ? name : point->name;
}

static void add_amount(struct text *text, const struct point *point, double value) {
    text_add_char(text, ' ');
    for (unsigned i = 0; i < point->labels_count; i++)
        if ((double)point->labels[i].value == value) {
            text_add(text, point->labels[i].name);
            return;
        }
    if (point->type == TYPE_BIT) {
        text_add(text, value != 0 ? "on" : "off");
        return;
    }
    text_add_double(text, value);
    text_add(text, *point->unit ? " " : "");
    text_add(text, point->unit);
}

/* "temperature rising faster than 8 °C/min" */
static bool add_rate(const struct loader *loader, const struct config_alarm *alarm, enum language language, struct text *text) {
    static const char *const words[2][2] = {{"上升快于", "下降快于"}, {" rising faster than", " falling faster than"}};
    const struct loader_derived *derived = derived_of(loader, alarm->device, alarm->point);
    bool rising = alarm->condition == CONDITION_ABOVE && alarm->limit > 0, falling = alarm->condition == CONDITION_BELOW && alarm->limit < 0;
    if (!derived || derived->node || (!rising && !falling))
        return false;
    const struct config_input *input = &derived->rule.inputs[0];
    text_add(text, name_in(&loader->devices[input->device].spec.points[input->point], language));
    text_add(text, words[language][falling]);
    add_amount(text, &loader->devices[alarm->device].spec.points[alarm->point], rising ? alarm->limit : -alarm->limit);
    return true;
}

static void add_leaf(const struct loader *loader, const struct config_alarm *alarm, const struct config_term *term, enum language language,
                     struct text *text) {
    if (term->kind == TERM_OPEN) {
        text_add(text, loader->places[term->place].name);
        text_add(text, language == ZH ? "营业中" : " is open");
        return;
    }
    const struct config_device *device = &loader->devices[term->device];
    const struct point *point = &device->spec.points[term->point];
    if (term->device != alarm->device) {
        text_add(text, device->spec.name);
        text_add_char(text, ' ');
    }
    text_add(text, name_in(point, language));
    if (term->kind == TERM_MISSING) {
        text_add(text, language == ZH ? "无有效读数" : " has no good reading");
        return;
    }
    text_add(text, limit_words[language][term->kind - TERM_ABOVE]);
    add_amount(text, point, term->limit);
}

static void add_term(const struct loader *loader, const struct config_alarm *alarm, const struct config_term *term, bool outer,
                     enum language language, struct text *text) {
    static const char *const joints[2][2] = {{"且", "或"}, {" and ", " or "}};
    if (term->kind < TERM_ALL) {
        add_leaf(loader, alarm, term, language, text);
        return;
    }
    bool negated = term->kind == TERM_NOT, brackets = !outer || negated;
    if (negated)
        text_add(text, language == ZH ? "并非" : "not ");
    text_add(text, brackets ? "(" : "");
    for (uint16_t i = 1; i < term->span; i = (uint16_t)(i + term[i].span)) {
        if (i > 1)
            text_add(text, joints[language][term->kind == TERM_ANY]);
        add_term(loader, alarm, &term[i], negated, language, text);
    }
    text_add(text, brackets ? ")" : "");
}

static const char *composite_text(const struct loader *loader, const struct config_alarm *alarm, enum language language) {
    char bytes[TEXT_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof(bytes));
    add_term(loader, alarm, &loader->config->terms[alarm->first_term], true, language, &text);
    if (text.full)
        snprintf(bytes, sizeof(bytes), language == ZH ? "%u 项组合条件成立" : "a condition of %u parts holds", alarm->terms_count);
    return loader_keep(loader->arena, bytes);
}

static const char *limit_text(const struct loader *loader, const struct config_alarm *alarm, enum language language) {
    char bytes[TEXT_SIZE];
    struct text text;
    const struct point *point = &loader->devices[alarm->device].spec.points[alarm->point];
    text_init(&text, bytes, sizeof(bytes));
    if (!add_rate(loader, alarm, language, &text)) {
        text_add(&text, name_in(point, language));
        text_add(&text, limit_words[language][alarm->condition - CONDITION_ABOVE]);
        if (alarm->label) {
            text_add_char(&text, ' ');
            text_add(&text, alarm->label);
        } else {
            add_amount(&text, point, alarm->limit);
        }
    }
    return loader_keep(loader->arena, bytes);
}

static const char *default_text(const struct loader *loader, const struct config_alarm *alarm, enum language language) {
    char bytes[TEXT_SIZE];
    switch (alarm->condition) {
    case CONDITION_COMMUNICATION:
        if (has_fire_point(loader, alarm->device)) /* such a device is also blind when it answers without a value */
            return language == ZH ? "设备通信中断或无有效读数" : "device does not answer or gives no valid reading";
        return language == ZH ? "设备通信中断" : "device does not answer";
    case CONDITION_ACTION:
        snprintf(bytes, sizeof(bytes), language == ZH ? "联动 %s 无法执行" : "the local action %s cannot be carried out",
                 alarm->action < loader->config->actions_count ? loader->actions[alarm->action].name : alarm->name);
        return loader_keep(loader->arena, bytes);
    case CONDITION_COMPOSITE:
        return composite_text(loader, alarm, language);
    default:
        return limit_text(loader, alarm, language);
    }
}

void load_alarm_texts(struct loader *loader) {
    for (uint16_t i = 0; i < loader->config->alarms_count; i++) {
        struct config_alarm *alarm = &loader->alarms[i];
        if (!alarm->zh)
            alarm->zh = default_text(loader, alarm, ZH);
        if (!alarm->en)
            alarm->en = default_text(loader, alarm, EN);
    }
}
