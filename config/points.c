/* SPDX-License-Identifier: Apache-2.0 */
/* A point as it is written, in a profile or inline. The table has checked each key by itself; here the keys of one point are
 * checked against each other: what a type needs, what it cannot have, and whether it fits the 65536 addresses. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "config/scalar.h"
#include "sensors/decode.h"

#define BCD_REGISTERS_MAX 4 /* 16 digits: more do not fit a whole number */

static const struct node *member(const struct node *map, const char *name) {
    return schema_member(&schema_point, map, name);
}

static bool is_bit_table(const struct point *point) {
    return point->read == READ_COIL || point->read == READ_DISCRETE;
}

static bool is_whole(enum point_type type) {
    return type != TYPE_F32 && type != TYPE_F64 && type != TYPE_STRING;
}

static bool read_registers(const struct source *source, const struct node *map, struct point *point) {
    const struct node *registers = member(map, "registers");
    bool sized = point->type == TYPE_STRING || point->type == TYPE_BCD;
    if (!sized) {
        point->registers = is_bit_table(point) ? 1 : decode_registers(point->type);
        if (point->registers == 0)
            point->registers = 1;
        if (!registers)
            return true;
        source_error(source, node_place(registers), "'registers' is for string and bcd only; the other types have their own size");
        return false;
    }
    if (!registers) {
        if (!node_get(map, "registers"))
            source_error(source, node_place(map), "'registers' is missing: a string or bcd needs the number of its registers");
        return false;
    }
    point->registers = (uint8_t)schema_u64(&schema_point, map, "registers");
    if (point->type == TYPE_BCD && point->registers > BCD_REGISTERS_MAX) {
        source_error(source, registers, "'registers' is %u, but a bcd has at most %d (16 digits)", point->registers, BCD_REGISTERS_MAX);
        return false;
    }
    return true;
}

static bool read_type(const struct source *source, const struct node *map, struct point *point) {
    const struct node *type = member(map, "type");
    if (!type && node_get(map, "type"))
        return false;
    if (!type && !is_bit_table(point)) {
        source_error(source, node_place(map), "'type' is missing: a register needs one of u16, s16, u32, s32, u64, s64, f32, f64, string, bcd");
        return false;
    }
    point->type = type ? (enum point_type)schema_u64(&schema_point, map, "type") : TYPE_BIT;
    if (is_bit_table(point) && point->type != TYPE_BIT) {
        source_error(source, type, "'type' is '%s', but a coil or discrete input is a bit", type->text);
        return false;
    }
    point->order = (enum point_order)schema_u64(&schema_point, map, "order");
    if (!read_registers(source, map, point))
        return false;
    unsigned last = point->address + point->registers - 1u;
    if (last > 65535)
        source_error(source, node_place(map), "address %u with %u registers reaches past 65535", point->address, point->registers);
    return last <= 65535;
}

static void read_bits(const struct source *source, const struct node *map, struct point *point) {
    const struct node *bits = member(map, "bits");
    if (!bits && point->type == TYPE_BIT && !is_bit_table(point) && !node_get(map, "bits"))
        source_error(source, node_place(map), "a bit of a register needs 'bits: [first, 1]', 0 the least significant");
    if (!bits)
        return;
    uint64_t first = 0, count = 0;
    if (!scalar_unsigned(bits->first->text, &first) || !scalar_unsigned(bits->last->text, &count))
        return;
    unsigned width = point->registers * 16u;
    if (is_bit_table(point) || point->type == TYPE_F32 || point->type == TYPE_F64 || point->type == TYPE_STRING || point->type == TYPE_BCD) {
        source_error(source, node_place(bits), "'bits' is for whole numbers in registers only");
    } else if (count == 0 || first + count > width) {
        source_error(source, bits, "'bits' is [%u, %u], but the raw value has bits 0 to %u and at least one must be taken", (unsigned)first,
                     (unsigned)count, width - 1);
    } else {
        point->bit_field = true;
        point->bit_first = (uint8_t)first;
        point->bit_count = (uint8_t)count;
    }
}

static void read_error_values(const struct source *source, const struct node *map, struct point *point) {
    const struct node *list = member(map, "error_values");
    unsigned width = point->registers * 16u;
    if (list && (is_bit_table(point) || point->type == TYPE_STRING)) {
        source_error(source, node_place(list), "'error_values' is for numbers in registers only");
        return;
    }
    for (const struct node *node = list ? list->first : NULL; node; node = node->next) {
        uint64_t value;
        if (!scalar_unsigned(node->text, &value) || (width < 64 && value >> width))
            source_error(source, node, "the error value '%s' must be the raw pattern, 0 to 0x%llX", QUOTE(node->text),
                         width < 64 ? (1ull << width) - 1 : ~0ull);
        else
            point->error_values[point->error_values_count++] = value;
    }
}

static void read_scale(const struct source *source, const struct node *map, struct point *point) {
    const struct node *range = member(map, "range"), *scale = member(map, "scale");
    point->scale = schema_real(&schema_point, map, "scale");
    point->offset = schema_real(&schema_point, map, "offset");
    if (point->scale == 0)
        source_error(source, scale, "'scale' is 0: every value would be the same");
    bool number = point->type != TYPE_BIT && point->type != TYPE_STRING;
    const struct node *misplaced = scale ? scale : member(map, "offset") ? member(map, "offset") : range;
    if (!number && misplaced) {
        source_error(source, node_place(misplaced), "'%s' is for numbers only; this point is a %s", misplaced->key->text,
                     point->type == TYPE_BIT ? "bit" : "string");
        return;
    }
    if (!range)
        return;
    point->has_range = text_read_double(range->first->text, &point->range_min) && text_read_double(range->last->text, &point->range_max);
    if (point->has_range && point->range_min >= point->range_max) {
        source_error(source, range, "'range' is [%s, %s], but the first must be below the second", QUOTE(range->first->text),
                     QUOTE(range->last->text));
        point->has_range = false;
    }
}

static void read_labels(const struct source *source, const struct node *map, struct arena *arena, struct point *point) {
    const struct node *labels = member(map, "labels");
    if (!labels || labels->count == 0)
        return;
    if (!is_whole(point->type)) {
        source_error(source, node_place(labels), "'labels' is for bits and whole numbers only");
        return;
    }
    struct enumeration_label *list = arena_take(arena, labels->count, sizeof(*list));
    for (const struct node *label = labels->first; label && point->labels_count < ENUMERATION_MAX; label = label->next) {
        int64_t value;
        if (!scalar_signed(label->key->text, &value) || label->kind != NODE_SCALAR)
            continue;
        for (unsigned i = 0; i < point->labels_count; i++)
            if (strcmp(list[i].name, label->text) == 0)
                source_error(source, label, "the label '%s' stands for %lld already", QUOTE(label->text), (long long)list[i].value);
        list[point->labels_count++] = (struct enumeration_label){.value = value, .name = loader_keep(arena, label->text)};
    }
    point->labels = list;
}

static void read_write(const struct source *source, const struct node *map, struct point *point) {
    static const enum point_read tables[] = {0, READ_COIL, READ_HOLDING}; /* no, coil, holding */
    enum point_read table = tables[schema_u64(&schema_point, map, "write")];
    const struct node *values = member(map, "write_values");
    if (table && table != point->read) {
        source_error(source, member(map, "write"), "'write' is '%s', but the point is read as another table; both must be the same",
                     member(map, "write")->text);
        table = 0;
    }
    if (!table && values && !member(map, "write"))
        source_error(source, node_place(values),
                     "'write_values' says nothing as long as the point is not written: add 'write: coil' or 'write: holding'");
    if (table == READ_HOLDING && (point->type == TYPE_STRING || point->bit_field)) {
        source_error(source, node_place(member(map, "write")), "a string, or some bits of a register, cannot be written");
        table = 0;
    }
    point->writable = point->verify = table != 0;
    point->write_on = point->read == READ_COIL ? 0xFF00 : 1;
    uint64_t on, off;
    const struct node *on_node = node_get(values, "on"), *off_node = node_get(values, "off");
    if (on_node && off_node && scalar_unsigned(on_node->text, &on) && scalar_unsigned(off_node->text, &off)) {
        point->write_on = (int64_t)on;
        point->write_off = (int64_t)off;
    }
}

static const char *keep_name(struct arena *arena, const struct node *map, const char *key) {
    const struct node *name = member(map, key);
    return name ? loader_keep(arena, name->text) : NULL;
}

static bool point_read(const struct source *source, const struct node *map, struct arena *arena, struct point *point) {
    point->name = loader_keep(arena, map->key->text);
    point->unit = loader_keep(arena, schema_text(&schema_point, map, "unit"));
    point->zh = keep_name(arena, map, "zh");
    point->en = keep_name(arena, map, "en");
    point->class = CLASS_MAINTENANCE;
    point->scale = 1;
    point->registers = 1;
    point->every_ms = (uint32_t)schema_u64(&schema_point, map, "every");
    if (!member(map, "read") || !member(map, "address"))
        return false;
    point->read = (enum point_read)(schema_u64(&schema_point, map, "read") + READ_COIL);
    point->address = (uint16_t)schema_u64(&schema_point, map, "address");
    if (!read_type(source, map, point))
        return false;
    read_bits(source, map, point);
    read_error_values(source, map, point);
    read_scale(source, map, point);
    read_labels(source, map, arena, point);
    read_write(source, map, point);
    return true;
}

bool points_read(const struct source *source, const struct node *map, struct arena *arena, struct point **ret_points, uint16_t *ret_count) {
    uint16_t count = 0;
    bool ok = true;
    uint32_t most = map->count < POINTS_PER_DEVICE_MAX ? map->count : POINTS_PER_DEVICE_MAX;
    struct point *points = arena_take(arena, most ? most : 1, sizeof(*points));
    for (const struct node *node = map->first; node && count < most; node = node->next) {
        ok = node->kind == NODE_MAP && point_read(source, node, arena, &points[count]) && ok;
        if (points[count].name)
            count++;
    }
    *ret_points = points;
    *ret_count = count;
    return ok;
}

uint16_t points_find(const struct point *points, uint16_t count, const char *name) {
    for (uint16_t i = 0; i < count; i++)
        if (strcmp(points[i].name, name) == 0)
            return i;
    return CONFIG_NONE;
}

void points_nearest(struct nearest *nearest, const struct point *points, uint16_t count) {
    for (uint16_t i = 0; i < count; i++)
        nearest_try(nearest, points[i].name);
}
