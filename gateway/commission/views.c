/* SPDX-License-Identifier: Apache-2.0 */
/* One table of rows. Each cell is one type in one order at one column's address; it is empty where the registers are not all
 * there, and where it would only repeat what stands above it (a signed value that is not negative). */
#include "gateway/commission/views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "sensors/decode.h"

#define LABEL_WIDTH 10
#define CELL_WIDTH 23
#define CELL_SIZE 48

enum row_kind { ROW_HEX, ROW_BITS, ROW_TEXT, ROW_VALUE, ROW_GAP };

struct row {
    const char *label;
    enum row_kind kind;
    enum point_type type;
    enum point_order order;
    uint8_t registers;
};

static const struct row rows[] = {
    {"hex", ROW_HEX, TYPE_U16, ORDER_ABCD, 1},        {"bits", ROW_BITS, TYPE_U16, ORDER_ABCD, 1},
    {"text", ROW_TEXT, TYPE_STRING, ORDER_ABCD, 4},   {"bcd", ROW_VALUE, TYPE_BCD, ORDER_ABCD, 1},
    {"u16", ROW_VALUE, TYPE_U16, ORDER_ABCD, 1},      {"u16 badc", ROW_VALUE, TYPE_U16, ORDER_BADC, 1},
    {"s16", ROW_VALUE, TYPE_S16, ORDER_ABCD, 1},      {"", ROW_GAP, TYPE_U16, ORDER_ABCD, 0},
    {"f32 abcd", ROW_VALUE, TYPE_F32, ORDER_ABCD, 2}, {"f32 cdab", ROW_VALUE, TYPE_F32, ORDER_CDAB, 2},
    {"f32 badc", ROW_VALUE, TYPE_F32, ORDER_BADC, 2}, {"f32 dcba", ROW_VALUE, TYPE_F32, ORDER_DCBA, 2},
    {"u32 abcd", ROW_VALUE, TYPE_U32, ORDER_ABCD, 2}, {"u32 cdab", ROW_VALUE, TYPE_U32, ORDER_CDAB, 2},
    {"u32 badc", ROW_VALUE, TYPE_U32, ORDER_BADC, 2}, {"u32 dcba", ROW_VALUE, TYPE_U32, ORDER_DCBA, 2},
    {"s32 abcd", ROW_VALUE, TYPE_S32, ORDER_ABCD, 2}, {"s32 cdab", ROW_VALUE, TYPE_S32, ORDER_CDAB, 2},
    {"s32 badc", ROW_VALUE, TYPE_S32, ORDER_BADC, 2}, {"s32 dcba", ROW_VALUE, TYPE_S32, ORDER_DCBA, 2},
    {"", ROW_GAP, TYPE_U16, ORDER_ABCD, 0},           {"f64 abcd", ROW_VALUE, TYPE_F64, ORDER_ABCD, 4},
    {"f64 cdab", ROW_VALUE, TYPE_F64, ORDER_CDAB, 4}, {"f64 badc", ROW_VALUE, TYPE_F64, ORDER_BADC, 4},
    {"f64 dcba", ROW_VALUE, TYPE_F64, ORDER_DCBA, 4}, {"u64 abcd", ROW_VALUE, TYPE_U64, ORDER_ABCD, 4},
    {"u64 cdab", ROW_VALUE, TYPE_U64, ORDER_CDAB, 4}, {"u64 badc", ROW_VALUE, TYPE_U64, ORDER_BADC, 4},
    {"u64 dcba", ROW_VALUE, TYPE_U64, ORDER_DCBA, 4}, {"s64 abcd", ROW_VALUE, TYPE_S64, ORDER_ABCD, 4},
    {"s64 cdab", ROW_VALUE, TYPE_S64, ORDER_CDAB, 4}, {"s64 badc", ROW_VALUE, TYPE_S64, ORDER_BADC, 4},
    {"s64 dcba", ROW_VALUE, TYPE_S64, ORDER_DCBA, 4},
};

static bool is_signed(enum point_type type) {
    return type == TYPE_S16 || type == TYPE_S32 || type == TYPE_S64;
}

bool views_plausible(enum point_type type, const struct value *value) {
    double number;
    if (!value_number(value, &number) || !isfinite(number) || number == 0)
        return false;
    double size = fabs(number);
    switch (type) {
    case TYPE_U16:
        return size <= 20000; /* 0x7FFF, 0x8000, 0xFFFF say that there is no value; most scaled readings are far below */
    case TYPE_S16:
        return size <= 2000; /* only negative ones are shown: a temperature in tenths or hundredths */
    case TYPE_F32:
    case TYPE_F64:
        return size >= 1e-3 && size < 1e6;
    case TYPE_U32:
    case TYPE_U64:
        return size < 1e7; /* a meter's energy */
    case TYPE_S32:
    case TYPE_S64:
        return size < 1e6;
    default:
        return false;
    }
}

/* The bytes of `count` registers from an address, high byte first; false when one is not there. */
static bool bytes_at(const struct views *views, uint32_t address, unsigned count, uint8_t *ret_bytes) {
    for (unsigned i = 0; i < count; i++) {
        uint32_t at = address + i - views->first;
        if (address + i < views->first || at >= views->count || !views->present[at])
            return false;
        ret_bytes[2 * i] = (uint8_t)(views->registers[at] >> 8);
        ret_bytes[2 * i + 1] = (uint8_t)views->registers[at];
    }
    return true;
}

static void cell_text(const uint8_t *bytes, char cell[CELL_SIZE]) {
    size_t length = 0;
    cell[length++] = '"';
    for (unsigned i = 0; i < 2 * VIEWS_REGISTERS; i++)
        cell[length++] = bytes[i] >= 0x20 && bytes[i] < 0x7F ? (char)bytes[i] : '.';
    cell[length++] = '"';
    cell[length] = '\0';
}

static void cell_bits(const uint8_t *bytes, char cell[CELL_SIZE]) {
    size_t length = 0;
    for (int bit = 15; bit >= 0; bit--) {
        cell[length++] = (char)('0' + (bytes[bit >= 8 ? 0 : 1] >> (bit % 8) & 1));
        if (bit % 4 == 0 && bit)
            cell[length++] = ' ';
    }
    cell[length] = '\0';
}

static void cell_value(const struct row *row, const uint8_t *bytes, char cell[CELL_SIZE]) {
    const struct point point = {
        .name = "", .unit = "", .read = READ_HOLDING, .type = row->type, .order = row->order, .registers = row->registers, .scale = 1};
    struct reading reading;
    struct text text;
    double number = 0;
    decode_point(&point, bytes, 2u * row->registers, 0, row->registers, &reading);
    cell[0] = '\0';
    if (reading.quality == QUALITY_BAD) {
        (void)text_copy(cell, CELL_SIZE, "-"); /* NaN, or a digit above 9 */
        return;
    }
    (void)value_number(&reading.value, &number);
    if (is_signed(row->type) && number >= 0)
        return;
    text_init(&text, cell, CELL_SIZE);
    bool plausible = views_plausible(row->type, &reading.value);
    if (reading.value.kind == VALUE_NUMBER && (plausible || number == 0))
        text_add_double(&text, number);
    else if (reading.value.kind == VALUE_NUMBER) /* nobody looks for it: no more digits than fit */
        (void)snprintf(cell, CELL_SIZE, "%.3g", number);
    else if (reading.value.kind == VALUE_UNSIGNED)
        text_add_u64(&text, reading.value.whole);
    else
        text_add_s64(&text, reading.value.integer);
    if (plausible)
        text_add(&text, " *");
}

static void make_cell(const struct views *views, const struct row *row, uint32_t address, char cell[CELL_SIZE]) {
    uint8_t bytes[2 * VIEWS_REGISTERS];
    cell[0] = '\0';
    if (!bytes_at(views, address, row->registers, bytes)) {
        if (row->kind == ROW_HEX)
            (void)text_copy(cell, CELL_SIZE, "not there");
        return;
    }
    if (row->kind == ROW_HEX)
        (void)snprintf(cell, CELL_SIZE, "%02X%02X", bytes[0], bytes[1]);
    else if (row->kind == ROW_BITS)
        cell_bits(bytes, cell);
    else if (row->kind == ROW_TEXT)
        cell_text(bytes, cell);
    else
        cell_value(row, bytes, cell);
}

/* Left-aligned, blanks after it but not at a line's end. */
static void add_cells(struct text *text, const char *label, char cells[][CELL_SIZE], unsigned columns) {
    unsigned last = columns;
    while (last > 0 && !cells[last - 1][0])
        last--;
    if (last == 0)
        return; /* a row without anything in it says nothing */
    text_add(text, " ");
    text_add(text, label);
    size_t width = LABEL_WIDTH - 1 - strlen(label);
    for (unsigned i = 0; i < last; i++) {
        for (; width > 0; width--)
            text_add_char(text, ' ');
        text_add(text, cells[i]);
        size_t length = strlen(cells[i]);
        width = length < CELL_WIDTH - 1 ? CELL_WIDTH - length : 1;
    }
    text_add_char(text, '\n');
}

void views_add(const struct views *views, uint32_t address, unsigned columns, uint32_t marked, struct text *text) {
    char cells[VIEWS_COLUMNS][CELL_SIZE];
    CHECK(columns >= 1 && columns <= VIEWS_COLUMNS);
    for (unsigned i = 0; i < columns; i++)
        (void)snprintf(cells[i], CELL_SIZE, "%u (0x%04X)%s", (unsigned)(address + i), (unsigned)(address + i), address + i == marked ? " <-" : "");
    add_cells(text, "address", cells, columns);
    for (size_t r = 0; r < ARRAY_COUNT(rows); r++) {
        if (rows[r].kind == ROW_GAP) {
            text_add_char(text, '\n');
            continue;
        }
        for (unsigned i = 0; i < columns; i++)
            make_cell(views, &rows[r], address + i, cells[i]);
        add_cells(text, rows[r].label, cells, columns);
    }
}
