/* SPDX-License-Identifier: Apache-2.0 */
/* A device as its register map says it is. Pure.
 *
 * Addresses: every address of a point and of a setup write exists. Between the lowest and the highest address of a table the
 * others read as 0 when the device allows gaps, and do not exist when it does not, which is how real devices differ.
 *
 *   request                                                        answer
 *   function other than 1-6, 15, 16                                exception 1
 *   wrong length, count 0, past the protocol's or the device's     exception 3
 *     own limit, byte count that does not fit, FC 5 with a value
 *     that is neither FF00, 0000 nor one the point names
 *   an address that does not exist, or past 65535; a write where   exception 2
 *     any address is not writable (then nothing is written)
 *   a read                                                         its contents
 *   a write                                                        the echo; the contents have changed
 *
 * The order of the checks is that of the specification (application protocol v1.1b3, section 6): function, count, address,
 * value. Invariants, asserted by slave_check: cells ascend strictly, and bits hold 0 or 1. */
#include "gateway/simulator/slave.h"

#include <string.h>

#include "base/check.h"

#define EXCEPTION_FLAG 0x80
#define EXCEPTION_FUNCTION 1
#define EXCEPTION_ADDRESS 2
#define EXCEPTION_VALUE 3
#define COIL_ON 0xFF00
#define BITS_WRITE_MAX 1968
#define REGISTERS_WRITE_MAX 123
#define RTU_FIXED_SIZE 8    /* unit, function, address, argument, CRC */
#define RTU_MULTIPLE_SIZE 9 /* the same and a byte count, without the bytes */

static uint16_t get_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void put_u16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)(value & 0xFF);
}

static struct slave_table *table_of(struct slave *slave, enum point_read table) {
    CHECK(table >= READ_COIL && table <= READ_INPUT);
    return &slave->tables[table - 1];
}

static bool holds_bits(enum point_read table) {
    return table == READ_COIL || table == READ_DISCRETE;
}

/* Where the address is, or where it would be put. */
static uint32_t place_of(const struct slave_table *table, uint16_t address) {
    uint32_t low = 0, high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->cells[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct slave_cell *cell_at(const struct slave_table *table, uint16_t address) {
    uint32_t place = place_of(table, address);
    return place < table->count && table->cells[place].address == address ? &table->cells[place] : NULL;
}

static bool readable(const struct slave *slave, const struct slave_table *table, uint16_t address) {
    if (cell_at(table, address))
        return true;
    return slave->spec->gaps_allowed && table->count > 0 && address > table->cells[0].address && address < table->cells[table->count - 1].address;
}

static uint16_t raw_at(const struct slave_table *table, uint16_t address) {
    const struct slave_cell *cell = cell_at(table, address);
    return cell ? cell->raw : 0;
}

/* ---- what exists ---- */

static void add_cell(struct slave_table *table, uint16_t address, bool writable) {
    uint32_t place = place_of(table, address);
    if (place == table->count || table->cells[place].address != address) {
        memmove(&table->cells[place + 1], &table->cells[place], (table->count - place) * sizeof(table->cells[0]));
        table->cells[place] = (struct slave_cell){.address = address};
        table->count++;
    }
    table->cells[place].writable |= writable;
}

void slave_init(struct slave *slave, const struct device_spec *spec, struct arena *arena) {
    *slave = (struct slave){.spec = spec};
    uint32_t room[SLAVE_TABLES] = {0};
    for (uint16_t i = 0; i < spec->points_count; i++)
        room[spec->points[i].read - 1] += spec->points[i].derived ? 0 : spec->points[i].registers;
    for (uint16_t i = 0; i < spec->setup_count; i++)
        room[spec->setup[i].coil ? READ_COIL - 1 : READ_HOLDING - 1]++;
    for (unsigned i = 0; i < SLAVE_TABLES; i++)
        slave->tables[i].cells = room[i] ? arena_take(arena, room[i], sizeof(struct slave_cell)) : NULL;

    for (uint16_t i = 0; i < spec->points_count; i++) {
        const struct point *point = &spec->points[i];
        if (point->derived) /* the gateway computes it; the device knows nothing of it */
            continue;
        CHECK(point->registers >= 1 && (uint32_t)point->address + point->registers <= 0x10000);
        for (uint16_t k = 0; k < point->registers; k++)
            add_cell(table_of(slave, point->read), (uint16_t)(point->address + k), point->writable);
    }
    for (uint16_t i = 0; i < spec->setup_count; i++)
        add_cell(table_of(slave, spec->setup[i].coil ? READ_COIL : READ_HOLDING), spec->setup[i].address, true);
    slave_check(slave);
}

/* ---- answering ---- */

static void answer_exception(struct pdu *reply, uint8_t function, uint8_t code) {
    reply->bytes[0] = (uint8_t)(function | EXCEPTION_FLAG);
    reply->bytes[1] = code;
    reply->size = 2;
}

static void answer_read(struct slave *slave, const uint8_t *request, size_t size, struct pdu *reply) {
    enum point_read kind = (enum point_read)request[0];
    const struct slave_table *table = table_of(slave, kind);
    if (size != 5)
        return answer_exception(reply, request[0], EXCEPTION_VALUE);
    uint16_t first = get_u16(&request[1]), count = get_u16(&request[3]);
    uint32_t count_max = holds_bits(kind) ? BITS_READ_MAX : REGISTERS_READ_MAX;
    if (!holds_bits(kind) && slave->spec->registers_max && slave->spec->registers_max < count_max)
        count_max = slave->spec->registers_max;
    if (count < 1 || count > count_max)
        return answer_exception(reply, request[0], EXCEPTION_VALUE);
    if ((uint32_t)first + count > 0x10000)
        return answer_exception(reply, request[0], EXCEPTION_ADDRESS);
    for (uint32_t i = 0; i < count; i++)
        if (!readable(slave, table, (uint16_t)(first + i)))
            return answer_exception(reply, request[0], EXCEPTION_ADDRESS);

    size_t data = holds_bits(kind) ? ((size_t)count + 7) / 8 : 2 * (size_t)count;
    reply->bytes[0] = request[0];
    reply->bytes[1] = (uint8_t)data;
    memset(&reply->bytes[2], 0, data);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t raw = raw_at(table, (uint16_t)(first + i));
        if (holds_bits(kind))
            reply->bytes[2 + i / 8] |= (uint8_t)(raw << i % 8);
        else
            put_u16(&reply->bytes[2 + 2 * i], raw);
    }
    reply->size = (uint8_t)(2 + data);
}

/* What FC 5 makes of a coil: devices take FF00 and 0000, and some name others. False: none of them. */
static bool coil_value(const struct slave *slave, uint16_t address, uint16_t argument, uint16_t *ret_bit) {
    for (uint16_t i = 0; i < slave->spec->points_count; i++) {
        const struct point *point = &slave->spec->points[i];
        if (point->derived || point->read != READ_COIL || point->address != address || !point->writable)
            continue;
        if (argument == point->write_on || argument == point->write_off) {
            *ret_bit = argument == point->write_on;
            return true;
        }
    }
    *ret_bit = argument == COIL_ON;
    return argument == COIL_ON || argument == 0;
}

static uint8_t check_writable(const struct slave_table *table, uint16_t first, uint16_t count) {
    if ((uint32_t)first + count > 0x10000)
        return EXCEPTION_ADDRESS;
    for (uint32_t i = 0; i < count; i++) {
        const struct slave_cell *cell = cell_at(table, (uint16_t)(first + i));
        if (!cell || !cell->writable)
            return EXCEPTION_ADDRESS;
    }
    return 0;
}

/* Carries out a write or gives the exception code that refuses it. */
static uint8_t carry_out(struct slave *slave, const uint8_t *request, size_t size, struct slave_write *write) {
    bool multiple = request[0] == FC_WRITE_COILS || request[0] == FC_WRITE_REGISTERS;
    bool bits = request[0] == FC_WRITE_COIL || request[0] == FC_WRITE_COILS;
    if (multiple ? size < 6 : size != 5)
        return EXCEPTION_VALUE;
    uint16_t first = get_u16(&request[1]), argument = get_u16(&request[3]), count = multiple ? argument : 1, bit = 0;
    if (multiple) {
        size_t data = bits ? ((size_t)count + 7) / 8 : 2 * (size_t)count;
        if (count < 1 || count > (bits ? BITS_WRITE_MAX : REGISTERS_WRITE_MAX) || request[5] != data || size != 6 + data)
            return EXCEPTION_VALUE;
    }
    enum point_read kind = bits ? READ_COIL : READ_HOLDING;
    struct slave_table *table = table_of(slave, kind);
    uint8_t refused = check_writable(table, first, count);
    if (refused)
        return refused;
    if (request[0] == FC_WRITE_COIL && !coil_value(slave, first, argument, &bit))
        return EXCEPTION_VALUE;
    for (uint32_t i = 0; i < count; i++) {
        struct slave_cell *cell = cell_at(table, (uint16_t)(first + i));
        if (!multiple)
            cell->raw = bits ? bit : argument;
        else
            cell->raw = bits ? request[6 + i / 8] >> i % 8 & 1 : get_u16(&request[6 + 2 * i]);
    }
    *write = (struct slave_write){.done = true, .table = kind, .address = first, .count = count};
    return 0;
}

void slave_answer(struct slave *slave, const uint8_t *request, size_t size, struct pdu *ret_reply, struct slave_write *ret_write) {
    CHECK(size >= 1);
    *ret_write = (struct slave_write){.done = false};
    switch (request[0]) {
    case FC_READ_COILS:
    case FC_READ_DISCRETE:
    case FC_READ_HOLDING:
    case FC_READ_INPUT:
        answer_read(slave, request, size, ret_reply);
        return;
    case FC_WRITE_COIL:
    case FC_WRITE_REGISTER:
    case FC_WRITE_COILS:
    case FC_WRITE_REGISTERS: {
        uint8_t refused = carry_out(slave, request, size, ret_write);
        if (refused)
            return answer_exception(ret_reply, request[0], refused);
        memcpy(ret_reply->bytes, request, 5); /* function, address, and value or count */
        ret_reply->size = 5;
        return;
    }
    default:
        answer_exception(ret_reply, request[0], EXCEPTION_FUNCTION);
    }
}

/* ---- by engineering value ---- */

/* Sets the point's own bits of its registers and leaves the others, which may belong to other points. */
static enum err set_bits(struct slave *slave, const struct point *point, const struct value *value) {
    struct point ones = *point; /* the same bits as a plain whole number: all ones in them is the mask */
    ones.type = point->registers == 4 ? TYPE_U64 : point->registers == 2 ? TYPE_U32 : TYPE_U16;
    ones.scale = 1;
    ones.offset = 0;
    struct value all = {.kind = VALUE_UNSIGNED, .whole = point->bit_count >= 64 ? UINT64_MAX : (UINT64_C(1) << point->bit_count) - 1};
    uint16_t masks[UINT8_MAX], contents[UINT8_MAX];
    enum err err = decode_encode(&ones, &all, masks);
    if (err == ERR_OK)
        err = decode_encode(point, value, contents);
    if (err != ERR_OK)
        return err;
    for (uint16_t i = 0; i < point->registers; i++) {
        struct slave_cell *cell = cell_at(table_of(slave, point->read), (uint16_t)(point->address + i));
        cell->raw = (uint16_t)((cell->raw & ~masks[i]) | contents[i]);
    }
    return ERR_OK;
}

enum err slave_set(struct slave *slave, uint16_t index, const struct value *value) {
    CHECK(index < slave->spec->points_count && !slave->spec->points[index].derived);
    const struct point *point = &slave->spec->points[index];
    struct slave_table *table = table_of(slave, point->read);
    if (holds_bits(point->read)) {
        double number;
        if (!value_number(value, &number) || (number != 0 && number != 1))
            return ERR_RANGE;
        cell_at(table, point->address)->raw = number != 0;
        return ERR_OK;
    }
    if (point->bit_field)
        return set_bits(slave, point, value);
    uint16_t contents[UINT8_MAX];
    enum err err = decode_encode(point, value, contents);
    if (err)
        return err;
    for (uint16_t i = 0; i < point->registers; i++)
        cell_at(table, (uint16_t)(point->address + i))->raw = contents[i];
    return ERR_OK;
}

void slave_get(const struct slave *slave, uint16_t index, struct reading *ret_reading) {
    CHECK(index < slave->spec->points_count && !slave->spec->points[index].derived);
    const struct point *point = &slave->spec->points[index];
    const struct slave_table *table = &slave->tables[point->read - 1];
    uint8_t data[2 * UINT8_MAX];
    size_t size = holds_bits(point->read) ? 1 : 2 * (size_t)point->registers;
    if (holds_bits(point->read))
        data[0] = (uint8_t)raw_at(table, point->address);
    else
        for (uint16_t i = 0; i < point->registers; i++)
            put_u16(&data[2 * i], raw_at(table, (uint16_t)(point->address + i)));
    *ret_reading = (struct reading){.point = index};
    decode_point(point, data, size, point->address, point->registers, ret_reading);
}

/* ---- raw ---- */

enum err slave_raw(const struct slave *slave, enum point_read table, uint16_t address, uint16_t *ret_raw) {
    const struct slave_cell *cell = cell_at(&slave->tables[table - 1], address);
    if (!cell)
        return ERR_NOT_FOUND;
    *ret_raw = cell->raw;
    return ERR_OK;
}

enum err slave_set_raw(struct slave *slave, enum point_read table, uint16_t address, uint16_t raw) {
    struct slave_cell *cell = cell_at(table_of(slave, table), address);
    if (!cell)
        return ERR_NOT_FOUND;
    cell->raw = holds_bits(table) ? raw != 0 : raw;
    return ERR_OK;
}

bool slave_write_touches(const struct slave_write *write, const struct point *point) {
    return write->done && !point->derived && write->table == point->read && point->address < (uint32_t)write->address + write->count &&
           write->address < (uint32_t)point->address + point->registers;
}

size_t slave_rtu_request_size(const uint8_t *bytes, size_t size) {
    if (size < 2)
        return 0;
    switch (bytes[1]) {
    case FC_READ_COILS:
    case FC_READ_DISCRETE:
    case FC_READ_HOLDING:
    case FC_READ_INPUT:
    case FC_WRITE_COIL:
    case FC_WRITE_REGISTER:
        return RTU_FIXED_SIZE;
    case FC_WRITE_COILS:
    case FC_WRITE_REGISTERS:
        return size < 7 ? 0 : RTU_MULTIPLE_SIZE + (size_t)bytes[6];
    default:
        return SIZE_MAX;
    }
}

void slave_check(const struct slave *slave) {
    for (unsigned table = 0; table < SLAVE_TABLES; table++)
        for (uint32_t i = 0; i < slave->tables[table].count; i++) {
            const struct slave_cell *cell = &slave->tables[table].cells[i];
            CHECK(i == 0 || cell[-1].address < cell->address);
            CHECK(!holds_bits((enum point_read)(table + 1)) || cell->raw <= 1);
        }
}
