/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated device asked with any PDUs, one after the other.
 *  1. Every request gets an exception of the right function with code 1, 2 or 3, or the answer to it by a second opinion (fuzz_answers).
 *  2. Only a write that was done changes anything; what FC 6 and FC 16 wrote is read back by FC 3.
 *  3. The size that slave_rtu_request_size tells from the beginning of a frame is the frame's, for every request that is answered.
 *  4. slave_check holds, and every point decodes to a reading that keeps its promises.
 *
 * Input: flags, then requests: size (5 when 0), bytes. */
#include <string.h>

#include "base/check.h"
#include "fuzz.h"
#include "gateway/simulator/slave.h"

#define CELLS_MAX 64

static const struct point points[] = {
    {.name = "coil", .unit = "", .read = READ_COIL, .address = 0, .registers = 1, .scale = 1, .writable = true, .write_on = 0xFF00},
    {.name = "odd-coil",
     .unit = "",
     .read = READ_COIL,
     .address = 9,
     .registers = 1,
     .scale = 1,
     .writable = true,
     .write_on = 0xAA00,
     .write_off = 0x5500},
    {.name = "contact", .unit = "", .read = READ_DISCRETE, .address = 3, .registers = 1, .scale = 1},
    {.name = "float", .unit = "", .read = READ_HOLDING, .type = TYPE_F32, .address = 10, .registers = 2, .scale = 1, .writable = true},
    {.name = "reversed",
     .unit = "",
     .read = READ_HOLDING,
     .type = TYPE_F64,
     .order = ORDER_DCBA,
     .address = 12,
     .registers = 4,
     .scale = 1,
     .writable = true},
    {.name = "tenths", .unit = "", .read = READ_HOLDING, .type = TYPE_S16, .address = 20, .registers = 1, .scale = 0.1},
    {.name = "field",
     .unit = "",
     .read = READ_HOLDING,
     .type = TYPE_U16,
     .address = 21,
     .registers = 1,
     .scale = 1,
     .bit_field = true,
     .bit_first = 4,
     .bit_count = 2},
    {.name = "name", .unit = "", .read = READ_HOLDING, .type = TYPE_STRING, .address = 30, .registers = 3, .scale = 1, .writable = true},
    {.name = "switch", .unit = "", .read = READ_HOLDING, .type = TYPE_U16, .address = 40, .registers = 1, .scale = 1, .writable = true},
    {.name = "last", .unit = "", .read = READ_INPUT, .type = TYPE_U16, .address = 0xFFFF, .registers = 1, .scale = 1},
};
static const struct setup_write setup[] = {{.address = 0x100, .value = 1}, {.address = 0xFFFF, .coil = true}};

static size_t snapshot(const struct slave *slave, uint16_t ret_raws[CELLS_MAX]) {
    size_t count = 0;
    for (unsigned table = 0; table < SLAVE_TABLES; table++)
        for (uint32_t i = 0; i < slave->tables[table].count && count < CELLS_MAX; i++)
            ret_raws[count++] = slave->tables[table].cells[i].raw;
    return count;
}

static void check_written(struct slave *slave, const uint8_t *request, const struct slave_write *write) {
    struct pdu read, reply;
    struct slave_write unused;
    PROPERTY(request[0] >= FC_WRITE_COIL && write->address == request[1] * 256u + request[2] && write->count >= 1);
    PROPERTY(write->table == (request[0] == FC_WRITE_COIL || request[0] == FC_WRITE_COILS ? READ_COIL : READ_HOLDING));
    if (write->table == READ_COIL || (slave->spec->registers_max && write->count > slave->spec->registers_max))
        return;
    frame_read(&read, FC_READ_HOLDING, write->address, write->count);
    slave_answer(slave, read.bytes, read.size, &reply, &unused);
    PROPERTY(!unused.done && fuzz_answers(&read, reply.bytes, reply.size) && reply.bytes[0] == FC_READ_HOLDING);
    PROPERTY(memcmp(reply.bytes + 2, request + (request[0] == FC_WRITE_REGISTER ? 3 : 6), 2u * write->count) == 0);
}

/* From as few bytes as it takes; more of them change nothing. */
static void check_size(const struct pdu *request, bool answered) {
    uint8_t frame[FRAME_SIZE];
    size_t told = 0, size = frame_rtu(1, request, frame);
    for (size_t i = 0; i <= size; i++) {
        size_t now = slave_rtu_request_size(frame, i);
        PROPERTY(told == 0 || now == told);
        told = now;
    }
    PROPERTY(told == 0 || told == SIZE_MAX || (told >= 8 && told <= 9 + UINT8_MAX));
    PROPERTY(!answered || told == size);
}

/* What may not be written is as it was. */
static void check_writable(const struct slave *slave, const uint16_t *before) {
    size_t place = 0;
    for (unsigned table = 0; table < SLAVE_TABLES; table++)
        for (uint32_t i = 0; i < slave->tables[table].count && place < CELLS_MAX; i++, place++)
            PROPERTY(slave->tables[table].cells[i].writable || slave->tables[table].cells[i].raw == before[place]);
}

static void ask(struct slave *slave, const uint8_t *bytes, size_t size) {
    struct pdu request = {.size = (uint8_t)size}, reply;
    struct slave_write write;
    uint16_t before[CELLS_MAX], after[CELLS_MAX];
    size_t count = snapshot(slave, before);
    slave_answer(slave, bytes, size, &reply, &write);
    slave_check(slave);
    memcpy(request.bytes, bytes, size);
    PROPERTY(snapshot(slave, after) == count);
    PROPERTY(reply.size >= 2 && reply.size <= PDU_SIZE);
    if (!write.done)
        PROPERTY(memcmp(before, after, count * sizeof(before[0])) == 0);
    check_writable(slave, before);
    if (reply.size == 2) {
        PROPERTY(reply.bytes[0] == (bytes[0] | 0x80) && reply.bytes[1] >= 1 && reply.bytes[1] <= 3 && !write.done);
    } else {
        PROPERTY(size >= 5 && fuzz_answers(&request, reply.bytes, reply.size));
        PROPERTY(write.done == (bytes[0] >= FC_WRITE_COIL));
    }
    check_size(&request, reply.size > 2);
    if (write.done)
        check_written(slave, bytes, &write);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {bytes, size};
    uint8_t flags = fuzz_u8(&input);
    struct device_spec spec = {.name = "d",
                               .unit_id = 1,
                               .registers_max = flags & 1 ? 8 : REGISTERS_READ_MAX,
                               .gaps_allowed = flags & 2,
                               .setup_count = ARRAY_COUNT(setup),
                               .setup = setup,
                               .points_count = ARRAY_COUNT(points),
                               .points = points};
    struct arena arena;
    struct slave slave;
    arena_init(&arena);
    slave_init(&slave, &spec, &arena);
    while (input.size > 0) {
        uint8_t wanted = fuzz_u8(&input);
        size_t given;
        const uint8_t *request = fuzz_take(&input, wanted == 0 ? 5 : wanted <= PDU_SIZE ? wanted : PDU_SIZE, &given);
        if (given > 0)
            ask(&slave, request, given);
    }
    for (uint16_t i = 0; i < spec.points_count; i++) {
        struct reading reading;
        slave_get(&slave, i, &reading);
        fuzz_check_reading(&points[i], &reading);
    }
    arena_done(&arena);
    return 0;
}
