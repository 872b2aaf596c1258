/* SPDX-License-Identifier: Apache-2.0 */
/* What a point says when all is well. Pure.
 *
 * The resting value of a point, first rule that applies:
 *   text                                     "SIM"
 *   labels, writable or a machine's state    the label "on" or "closed" (relay, breaker, fan, purifier)
 *   labels                                   the label "normal" or "connected", else 0
 *   a unit or a name in the table below      its usual value
 *   a plausible range                        its middle
 *   anything else                            0
 * then moved off every alarm of the configuration that it would make true, deadband included, and last moved to 0 when the
 * point cannot represent it. A rule about equality moves it to another label. */
#include "gateway/simulator/plant_rest.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

struct usual {
    const char *name; /* contained in the point's name; NULL: any */
    const char *unit; /* NULL: any */
    double value;
};

static const struct usual usual_values[] = {
    {"power-factor", NULL, 0.98},
    {"fan-current", "A", 3.2},
    {"purifier-current", "A", 0.9},
    {"rated-current", "mA", 300},
    {NULL, "V", 225},
    {NULL, "A", 2.4},
    {NULL, "mA", 6},
    {NULL, "W", 540},
    {NULL, "kW", 0.54},
    {NULL, "VA", 550},
    {NULL, "var", 90},
    {NULL, "Hz", 50},
    {NULL, "kWh", 1234.5},
    {NULL, "°C", 24},
    {NULL, "%RH", 55},
    {NULL, "%LEL", 0},
    {NULL, "%", 55},
    {NULL, "Pa", 120},
    {NULL, "mg/m³", 0.6},
    {NULL, "ppm", 0},
    {NULL, "dBm", -70},
};

static const char *const machine_names[] = {"fan", "purifier", "breaker", "switch", "relay", "channel", "running"};

static bool is_machine(const struct point *point) {
    for (size_t i = 0; i < ARRAY_COUNT(machine_names); i++)
        if (strstr(point->name, machine_names[i]))
            return true;
    return false;
}

bool plant_is_bit(const struct point *point) {
    return point->read == READ_COIL || point->read == READ_DISCRETE || point->type == TYPE_BIT;
}

const struct enumeration_label *plant_label(const struct point *point, const char *name) {
    for (unsigned i = 0; i < point->labels_count; i++)
        if (strcmp(point->labels[i].name, name) == 0)
            return &point->labels[i];
    return NULL;
}

static double rest_of_state(const struct point *point) {
    static const char *const running[] = {"on", "closed"}, *const calm[] = {"normal", "connected"};
    bool runs = point->writable || is_machine(point);
    for (size_t i = 0; i < 2; i++) {
        const struct enumeration_label *label = plant_label(point, runs ? running[i] : calm[i]);
        if (label)
            return (double)label->value;
    }
    const struct enumeration_label *label = plant_label(point, "normal");
    return label ? (double)label->value : runs && plant_is_bit(point) ? 1 : 0;
}

static double usual_value(const struct point *point) {
    for (size_t i = 0; i < ARRAY_COUNT(usual_values); i++) {
        const struct usual *usual = &usual_values[i];
        if ((!usual->name || strstr(point->name, usual->name)) && (!usual->unit || strcmp(point->unit, usual->unit) == 0) &&
            (!point->has_range || (usual->value >= point->range_min && usual->value <= point->range_max)))
            return usual->value;
    }
    return point->has_range ? (point->range_min + point->range_max) / 2 : 0;
}

/* The band in which no alarm on the point is true and all have cleared. */
struct band {
    double low, high;
};

static double into_band(double value, const struct band *band) {
    if (value > band->low && value < band->high)
        return value;
    if (isfinite(band->low) && isfinite(band->high))
        return (band->low + band->high) / 2;
    double limit = isfinite(band->high) ? band->high : band->low, margin = fmax(fabs(limit) * 0.25, 1);
    if (isfinite(band->high))
        return limit > 0 ? fmax(limit - margin, limit / 2) : limit - margin;
    return limit + margin;
}

/* Another value of the point than `value`, for a rule about equality. */
static double other_value(const struct point *point, double value) {
    for (unsigned i = 0; i < point->labels_count; i++)
        if ((double)point->labels[i].value != value)
            return (double)point->labels[i].value;
    return plant_is_bit(point) ? 1 - value : value + 1;
}

double plant_rest(const struct config *config, uint16_t device, uint16_t index) {
    const struct point *point = config_point(config, device, index);
    bool state = plant_is_bit(point) || point->labels_count > 0;
    double value = state ? rest_of_state(point) : usual_value(point);
    struct band band = {-INFINITY, INFINITY};
    for (uint16_t i = 0; i < config->alarms_count; i++) {
        const struct config_alarm *alarm = &config->alarms[i];
        if (alarm->device != device || alarm->point != index)
            continue;
        if (alarm->condition == CONDITION_ABOVE)
            band.high = fmin(band.high, alarm->limit - alarm->deadband);
        else if (alarm->condition == CONDITION_BELOW)
            band.low = fmax(band.low, alarm->limit + alarm->deadband);
        else if (alarm->condition == CONDITION_EQUAL && alarm->limit == value)
            value = other_value(point, value);
    }
    return into_band(value, &band);
}
