/* SPDX-License-Identifier: Apache-2.0 */
/* All devices of a configuration, at rest until somebody sets, unplugs or writes something. Pure.
 *
 * Only analog points wave: a unit, no labels, no bits, no counter, no rating, no write. Setting a point by hand stops its wave. */
#include "gateway/simulator/plant.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "gateway/simulator/plant_rest.h"

#define PI 3.14159265358979323846
#define WAVE_PERIOD_US 60000000
#define WAVE_SWING 0.02
#define WAVE_SWING_MAINS 0.0005 /* of the frequency of the mains */
#define FLOAT_STEPS 32          /* to the unit: floating values that a person can read */
#define UNITS_PER_BUS 248

static struct value value_of(const struct point *point, double number) {
    bool whole = plant_is_bit(point) || (point->labels_count > 0 && number == floor(number) && fabs(number) < 9e15);
    if (whole)
        return (struct value){.kind = VALUE_INTEGER, .integer = (int64_t)number};
    return (struct value){.kind = VALUE_NUMBER, .number = number};
}

static bool can_wave(const struct point *point) {
    return point->unit[0] && !strstr(point->unit, "Wh") && !strstr(point->unit, "varh") && !strstr(point->name, "rated") &&
           point->labels_count == 0 && !point->bit_field && !plant_is_bit(point) && !point->writable && point->type != TYPE_STRING;
}

static void rest(struct plant *plant, uint16_t device, uint16_t index) {
    const struct config_device *of = &plant->config->devices[device];
    const struct point *point = &of->spec.points[index];
    struct plant_point *state = &plant->points[of->first_point + index];
    struct slave *slave = &plant->devices[device].slave;
    struct value value;
    if (point->type == TYPE_STRING) {
        value = (struct value){.kind = VALUE_TEXT};
        (void)text_copy(value.text, point->registers == 1 ? 3 : sizeof(value.text), "SIM");
    } else {
        state->rest = plant_rest(plant->config, device, index);
        value = value_of(point, state->rest);
    }
    if (slave_set(slave, index, &value) == ERR_OK) {
        state->waves = state->rest != 0 && can_wave(point);
        return;
    }
    state->rest = 0;
    value = value_of(point, 0);
    if (point->type != TYPE_STRING && slave_set(slave, index, &value) != ERR_OK)
        return; /* the point cannot say 0 either: its registers stay 0 */
}

void plant_build(struct plant *plant, const struct config *config, struct arena *arena) {
    *plant = (struct plant){.config = config};
    plant->devices = arena_take(arena, config->devices_count + 1u, sizeof(*plant->devices));
    plant->points = arena_take(arena, config->points_count + 1u, sizeof(*plant->points));
    plant->by_unit = arena_take(arena, config->buses_count + 1u, sizeof(*plant->by_unit));
    for (uint16_t i = 0; i < config->devices_count; i++) {
        const struct config_device *device = &config->devices[i];
        bool line = config->buses[device->bus].kind != BUS_TCP;
        plant->devices[i].plugged = true;
        plant->devices[i].turnaround_us = line ? PLANT_LINE_TURNAROUND_US : 0;
        slave_init(&plant->devices[i].slave, &device->spec, arena);
        if (!plant->by_unit[device->bus]) {
            plant->by_unit[device->bus] = arena_take(arena, UNITS_PER_BUS, sizeof(uint16_t));
            for (unsigned unit = 0; unit < UNITS_PER_BUS; unit++)
                plant->by_unit[device->bus][unit] = CONFIG_NONE;
        }
        CHECK(device->spec.unit_id < UNITS_PER_BUS);
        plant->by_unit[device->bus][device->spec.unit_id] = i;
        for (uint16_t point = 0; point < device->spec.points_count; point++)
            if (!device->spec.points[point].derived)
                rest(plant, i, point);
    }
    plant_check(plant);
}

/* ---- answering ---- */

uint16_t plant_device_at(const struct plant *plant, uint16_t bus, uint8_t unit_id) {
    CHECK(bus < plant->config->buses_count);
    return plant->by_unit[bus] && unit_id < UNITS_PER_BUS ? plant->by_unit[bus][unit_id] : CONFIG_NONE;
}

bool plant_answer(struct plant *plant, uint16_t bus, uint8_t unit_id, const uint8_t *request, size_t size, uint16_t *ret_device,
                  struct pdu *ret_reply, struct slave_write *ret_write) {
    *ret_device = CONFIG_NONE;
    *ret_write = (struct slave_write){.done = false};
    if (unit_id == 0) {
        struct slave_write ignored;
        for (uint16_t i = 0; i < plant->config->devices_count; i++)
            if (plant->config->devices[i].bus == bus && plant->devices[i].plugged)
                slave_answer(&plant->devices[i].slave, request, size, ret_reply, &ignored);
        return false;
    }
    uint16_t device = plant_device_at(plant, bus, unit_id);
    if (device == CONFIG_NONE || !plant->devices[device].plugged)
        return false;
    *ret_device = device;
    slave_answer(&plant->devices[device].slave, request, size, ret_reply, ret_write);
    return true;
}

/* ---- by name ---- */

static void add_error(struct text *error, const char *before, const char *name, const char *after) {
    if (!error)
        return;
    text_add(error, before);
    text_add(error, name);
    text_add(error, after);
}

/* "expected one of a, b, c" as far as it fits. */
static void add_choices(struct text *error, uint32_t count, const char *(*name)(const void *context, uint32_t i), const void *context) {
    if (!error)
        return;
    for (uint32_t i = 0; i < count; i++) {
        const char *choice = name(context, i);
        if (error->length + strlen(choice) + 8 > error->size) {
            text_add(error, ", ...");
            return;
        }
        text_add(error, i ? ", " : "");
        text_add(error, choice);
    }
}

static const char *device_name(const void *context, uint32_t i) {
    return ((const struct config *)context)->devices[i].spec.name;
}

static const char *bus_name(const void *context, uint32_t i) {
    return ((const struct config *)context)->buses[i].name;
}

static const char *point_name(const void *context, uint32_t i) {
    return ((const struct device_spec *)context)->points[i].name;
}

static const char *point_label(const void *context, uint32_t i) {
    return ((const struct point *)context)->labels[i].name;
}

enum err plant_find_device(const struct plant *plant, const char *name, uint16_t *ret_device, struct text *error) {
    for (uint16_t i = 0; i < plant->config->devices_count; i++)
        if (strcmp(plant->config->devices[i].spec.name, name) == 0) {
            *ret_device = i;
            return ERR_OK;
        }
    add_error(error, "there is no device '", name, "'; expected one of ");
    add_choices(error, plant->config->devices_count, device_name, plant->config);
    return ERR_NOT_FOUND;
}

enum err plant_find_bus(const struct plant *plant, const char *name, uint16_t *ret_bus, struct text *error) {
    for (uint16_t i = 0; i < plant->config->buses_count; i++)
        if (strcmp(plant->config->buses[i].name, name) == 0) {
            *ret_bus = i;
            return ERR_OK;
        }
    add_error(error, "there is no bus '", name, "'; expected one of ");
    add_choices(error, plant->config->buses_count, bus_name, plant->config);
    return ERR_NOT_FOUND;
}

enum err plant_find_point(const struct plant *plant, const char *path, uint16_t *ret_device, uint16_t *ret_point, struct text *error) {
    const char *slash = strchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : strlen(path);
    char name[NAME_SIZE];
    if (!slash || length >= sizeof(name)) {
        add_error(error, "'", path, "' is not a point; expected DEVICE/POINT, such as smoke-1/smoke");
        return ERR_NOT_FOUND;
    }
    memcpy(name, path, length);
    name[length] = '\0';
    enum err err = plant_find_device(plant, name, ret_device, error);
    if (err != ERR_OK)
        return err;
    const struct device_spec *spec = &plant->config->devices[*ret_device].spec;
    for (uint16_t i = 0; i < spec->points_count; i++)
        if (strcmp(spec->points[i].name, slash + 1) == 0) {
            if (spec->points[i].derived) {
                add_error(error, "'", path, "' is computed by the gateway; set the points it is computed from");
                return ERR_NOT_FOUND;
            }
            *ret_point = i;
            return ERR_OK;
        }
    add_error(error, "device '", name, "' has no point '");
    add_error(error, slash + 1, "'; expected one of ", "");
    add_choices(error, spec->points_count, point_name, spec);
    return ERR_NOT_FOUND;
}

static bool read_value(const struct point *point, const char *written, struct value *ret_value) {
    const struct enumeration_label *label = plant_label(point, written);
    if (label) {
        *ret_value = (struct value){.kind = VALUE_INTEGER, .integer = label->value};
        return true;
    }
    if (point->type == TYPE_STRING) {
        *ret_value = (struct value){.kind = VALUE_TEXT};
        return text_copy(ret_value->text, sizeof(ret_value->text), written);
    }
    *ret_value = (struct value){.kind = VALUE_INTEGER};
    if (text_read_s64(written, &ret_value->integer))
        return true;
    ret_value->kind = VALUE_NUMBER;
    return text_read_double(written, &ret_value->number);
}

enum err plant_set(struct plant *plant, const char *path, const char *written, struct text *error) {
    uint16_t device, index;
    enum err err = plant_find_point(plant, path, &device, &index, error);
    if (err != ERR_OK)
        return err;
    const struct point *point = config_point(plant->config, device, index);
    struct value value;
    if (!read_value(point, written, &value)) {
        add_error(error, "'", written, point->labels_count ? "' is no value; expected a number or one of " : "' is no value; expected a number");
        add_choices(error, point->labels_count, point_label, point);
        return ERR_SYNTAX;
    }
    err = slave_set(&plant->devices[device].slave, index, &value);
    if (err != ERR_OK) {
        add_error(error, path, " cannot hold ", written);
        add_error(error, "; expected what its registers can represent", "", "");
        return err;
    }
    plant->points[plant->config->devices[device].first_point + index].waves = false;
    return ERR_OK;
}

void plant_add_value(const struct plant *plant, uint16_t device, uint16_t index, struct text *value) {
    const struct point *point = config_point(plant->config, device, index);
    struct reading reading;
    double number = 0;
    slave_get(&plant->devices[device].slave, index, &reading);
    if (reading.quality == QUALITY_BAD) {
        text_add(value, "bad, ");
        text_add(value, quality_reason_name((enum quality_reason)reading.reason));
        return;
    }
    if (reading.value.kind == VALUE_TEXT) {
        text_add(value, reading.value.text);
        return;
    }
    (void)value_number(&reading.value, &number);
    for (unsigned i = 0; i < point->labels_count; i++)
        if ((double)point->labels[i].value == number) {
            text_add(value, point->labels[i].name);
            return;
        }
    if (reading.value.kind == VALUE_UNSIGNED)
        text_add_u64(value, reading.value.whole);
    else if (reading.value.kind == VALUE_INTEGER)
        text_add_s64(value, reading.value.integer);
    else
        text_add_double(value, number);
    text_add(value, point->unit[0] ? " " : "");
    text_add(value, point->unit);
}

enum err plant_get(const struct plant *plant, const char *path, struct text *value, struct text *error) {
    uint16_t device, point;
    enum err err = plant_find_point(plant, path, &device, &point, error);
    if (err == ERR_OK)
        plant_add_value(plant, device, point, value);
    return err;
}

enum err plant_plug(struct plant *plant, const char *name, bool plugged, struct text *error) {
    uint16_t device;
    enum err err = plant_find_device(plant, name, &device, error);
    if (err == ERR_OK)
        plant->devices[device].plugged = plugged;
    return err;
}

enum err plant_delay(struct plant *plant, const char *name, uint32_t turnaround_us, struct text *error) {
    uint16_t device;
    enum err err = plant_find_device(plant, name, &device, error);
    if (err == ERR_OK)
        plant->devices[device].turnaround_us = turnaround_us;
    return err;
}

/* ---- the wave ---- */

void plant_wave(struct plant *plant, int64_t now_us) {
    double turn = (double)(now_us % WAVE_PERIOD_US) / WAVE_PERIOD_US;
    for (uint16_t device = 0; device < plant->config->devices_count; device++) {
        const struct config_device *of = &plant->config->devices[device];
        for (uint16_t i = 0; i < of->spec.points_count; i++) {
            const struct plant_point *state = &plant->points[of->first_point + i];
            if (!state->waves)
                continue;
            const struct point *point = &of->spec.points[i];
            double swing = strcmp(point->unit, "Hz") == 0 ? WAVE_SWING_MAINS : WAVE_SWING;
            double phase = (double)((of->first_point + i) % 16) / 16; /* neighbours do not swing alike */
            struct value value = {.kind = VALUE_NUMBER, .number = state->rest * (1 + swing * sin(2 * PI * (turn + phase)))};
            if (point->type == TYPE_F32 || point->type == TYPE_F64)
                value.number = rint(value.number * FLOAT_STEPS) / FLOAT_STEPS;
            if (slave_set(&plant->devices[device].slave, i, &value) != ERR_OK)
                continue; /* the swing ends at what the registers can say */
        }
    }
}

void plant_check(const struct plant *plant) {
    for (uint16_t i = 0; i < plant->config->devices_count; i++) {
        const struct config_device *device = &plant->config->devices[i];
        CHECK(plant_device_at(plant, device->bus, device->spec.unit_id) == i);
        CHECK(plant->devices[i].slave.spec == &device->spec);
        slave_check(&plant->devices[i].slave);
    }
}
