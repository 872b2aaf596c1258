/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo probe PORT UNIT_ID ADDRESS: what stands at an address, in every type and word order, with its neighbours beside it: a
 * person compares with the device's display and sees which type, order and address are right. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/field.h"
#include "gateway/commission/views.h"

#define COUNT_MAX 60
#define AROUND_MAX (COUNT_MAX + 2 + VIEWS_REGISTERS)
#define TABLE_SIZE 16384
#define TIMEOUT_MS 1000
#define BITS_A_LINE 16
#define MANUAL_FIRST 30001 /* numbers of manuals that count 30001 or 40001 as the first register */

struct probe {
    struct field_port port;
    struct bus_client *client;
    uint8_t unit_id;
    uint16_t address, count;
    enum frame_function function; /* 0: holding, then input */
    int64_t timeout_us;
};

static const char *const usage_text = "usage: yanhuo probe PORT UNIT_ID ADDRESS [--read TABLE] [--count N] [--baud B] [--parity P] [--timeout MS]\n"
                                      "                    [--state DIR]\n\n"
                                      "  PORT          a serial port, tcp:HOST[:PORT] or rtu_over_tcp:HOST:PORT\n"
                                      "  ADDRESS       as in the request, counted from 0 (40001 of a manual is holding 0); 0x10 is understood\n"
                                      "  --read TABLE  holding, input, coil or discrete; without it holding, then input\n"
                                      "  --count N     so many addresses, 1 to 60\n"
                                      "  --baud B      9600 by default;  --parity none, even or odd: none by default\n"
                                      "  --timeout MS  1000 by default\n"
                                      "  --state DIR   of a running gateway, " FIELD_STATE_DIR " by default: when it uses the port, it asks in\n"
                                      "                its spare time, at the line's own speed; --baud and --parity then say nothing\n";

static const char *table_name(enum frame_function function) {
    static const char *const names[] = {"", "coil", "discrete input", "holding register", "input register"};
    return names[function];
}

/* Reads what is there around the address: all at once if the device lets us, one by one if not. */
static unsigned read_around(struct probe *probe, enum frame_function function, uint32_t first, uint32_t count, uint16_t *registers, bool *present,
                            struct bus_answer *ret_target) {
    const uint8_t *data;
    unsigned there = 0;
    struct bus_answer answer;
    if (field_read(probe->client, probe->unit_id, function, probe->address, probe->count, probe->timeout_us, ret_target, &data))
        for (uint32_t i = 0; i < probe->count; i++) {
            registers[probe->address - first + i] = (uint16_t)(data[2 * i] << 8 | data[2 * i + 1]);
            present[probe->address - first + i] = true;
        }
    if (ret_target->status != BUS_ANSWERED)
        return 0;
    if (field_read(probe->client, probe->unit_id, function, (uint16_t)first, (uint16_t)count, probe->timeout_us, &answer, &data)) {
        for (uint32_t i = 0; i < count; i++) {
            registers[i] = (uint16_t)(data[2 * i] << 8 | data[2 * i + 1]);
            present[i] = true;
        }
        return count;
    }
    for (uint32_t i = 0; i < count && !field_interrupted(); i++) {
        if (!present[i] && field_read(probe->client, probe->unit_id, function, (uint16_t)(first + i), 1, probe->timeout_us, &answer, &data)) {
            registers[i] = (uint16_t)(data[0] << 8 | data[1]);
            present[i] = true;
        }
        there += present[i];
        if (answer.status == BUS_TIMEOUT && !present[i] && i + 1 < count && first + i > (uint32_t)probe->address + probe->count)
            break; /* a device that is silent about what it does not have */
    }
    return there;
}

static void print_head(const struct probe *probe, enum frame_function function, const struct bus_answer *answer) {
    char setting[FIELD_SETTING_SIZE];
    struct sweep_setting settings = {probe->port.spec.kind == BUS_SERIAL ? probe->port.spec.baud : 0, probe->port.spec.parity,
                                     probe->port.spec.stop_bits};
    (void)printf("Unit %u on %s (%s), %s %u (0x%04X), answered after %lld ms\n\n", probe->unit_id, probe->port.spec.name,
                 field_setting_text(setting, &settings), table_name(function), probe->address, probe->address,
                 (long long)(answer->turnaround_us + 999) / 1000);
}

static void print_registers(const struct probe *probe, const struct views *views) {
    char bytes[TABLE_SIZE];
    struct text text;
    uint32_t last = (uint32_t)probe->address + probe->count, from = probe->address ? probe->address - 1u : 0;
    for (uint32_t at = from; at <= last && at <= UINT16_MAX; at += VIEWS_COLUMNS) {
        uint32_t columns = last - at + 1 < VIEWS_COLUMNS ? last - at + 1 : VIEWS_COLUMNS;
        if (at + columns > 0x10000)
            columns = 0x10000 - at;
        text_init(&text, bytes, sizeof(bytes));
        views_add(views, at, columns, probe->address, &text);
        (void)printf("%s%s", at == from ? "" : "\n", bytes);
    }
    (void)printf("\n * what a sensor might say. -: not a number. Signed rows only where negative; rows of 0 and absurd values are not it.\n"
                 " <- the address asked for. If the right value stands beside it, the manual counts from 1: subtract 1.\n");
}

static int probe_registers(struct probe *probe, enum frame_function function, struct bus_answer *ret_answer) {
    uint16_t registers[AROUND_MAX] = {0};
    bool present[AROUND_MAX] = {false};
    uint32_t first = probe->address ? probe->address - 1u : 0, end = (uint32_t)probe->address + probe->count + VIEWS_REGISTERS;
    if (end > 0x10000)
        end = 0x10000;
    if (read_around(probe, function, first, end - first, registers, present, ret_answer) == 0 || !present[probe->address - first])
        return 1;
    print_head(probe, function, ret_answer);
    struct views views = {.first = first, .count = end - first, .registers = registers, .present = present};
    print_registers(probe, &views);
    return 0;
}

static int probe_bits(struct probe *probe, struct bus_answer *ret_answer) {
    uint32_t first = probe->address ? probe->address - 1u : 0, end = (uint32_t)probe->address + (probe->count > 1 ? probe->count : BITS_A_LINE);
    if (end > 0x10000)
        end = 0x10000;
    const uint8_t *data;
    uint32_t count = end - first;
    if (!field_read(probe->client, probe->unit_id, probe->function, (uint16_t)first, (uint16_t)count, probe->timeout_us, ret_answer, &data)) {
        first = probe->address;
        count = probe->count;
        if (!field_read(probe->client, probe->unit_id, probe->function, (uint16_t)first, (uint16_t)count, probe->timeout_us, ret_answer, &data))
            return 1;
    }
    print_head(probe, probe->function, ret_answer);
    for (uint32_t i = 0; i < count; i++)
        (void)printf("  %5u (0x%04X)  %u%s\n", (unsigned)(first + i), (unsigned)(first + i), data[i / 8] >> (i % 8) & 1u,
                     first + i == probe->address ? "   <-" : "");
    return 0;
}

static int fail(const struct probe *probe, enum frame_function function, const struct bus_answer *answer) {
    char bytes[FIELD_TEXT_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof(bytes));
    field_add_failure(answer, &text);
    (void)fprintf(stderr, "yanhuo probe: unit %u, %s %u: %s\n", probe->unit_id, table_name(function), probe->address, bytes);
    if (answer->status == BUS_ANSWERED && probe->address >= MANUAL_FIRST && probe->address < 50000)
        (void)fprintf(stderr, "  If %u comes from a manual that counts from %s, ask for address %u.\n", probe->address,
                      probe->address > 40000 ? "40001" : "30001", probe->address - (probe->address > 40000 ? 40001u : 30001u));
    else if (answer->status == BUS_ANSWERED)
        (void)fprintf(stderr, "  The device is there, but has nothing to read here. Try --read with another table, or another address.\n");
    else if (answer->status == BUS_TIMEOUT)
        (void)fprintf(stderr, "  Nobody answers at this unit id and speed. `yanhuo scan %s` finds who is there.\n", probe->port.spec.name);
    return 1;
}

static int probe_run(struct probe *probe) {
    struct bus_answer answer;
    int status;
    field_catch_interrupt();
    probe->client = field_open_shared(&probe->port);
    if (!probe->client)
        return 1;
    enum frame_function function = probe->function ? probe->function : FC_READ_HOLDING;
    if (function <= FC_READ_DISCRETE) {
        status = probe_bits(probe, &answer);
    } else {
        status = probe_registers(probe, function, &answer);
        if (status && !probe->function && answer.status != BUS_DISCONNECTED) {
            (void)fprintf(stderr, "No holding register here; trying input registers.\n");
            status = probe_registers(probe, FC_READ_INPUT, &answer);
            function = FC_READ_INPUT;
        }
    }
    if (status)
        status = fail(probe, function, &answer);
    bus_client_close(probe->client);
    return status;
}

static bool read_table(const char *word, enum frame_function *ret_function) {
    for (unsigned i = FC_READ_COILS; i <= FC_READ_INPUT; i++)
        if (strncmp(word, table_name((enum frame_function)i), strcspn(table_name((enum frame_function)i), " ")) == 0 &&
            strlen(word) == strcspn(table_name((enum frame_function)i), " ")) {
            *ret_function = (enum frame_function)i;
            return true;
        }
    (void)fprintf(stderr, "yanhuo probe: --read is '%s'; expected holding, input, coil or discrete\n", word);
    return false;
}

struct options {
    const char *bauds, *parities, *count, *timeout, *table, *state;
};

static bool understand(struct probe *probe, char **words, const struct options *options) {
    uint64_t unit, address, count = 1, timeout_ms = TIMEOUT_MS, baud = 9600;
    enum bus_parity parities[3] = {PARITY_NONE};
    unsigned parities_count;
    if (!field_port_read(&probe->port, "probe", words[0]) || !field_number_read("probe", "UNIT_ID", words[1], 0, 255, &unit) ||
        !field_number_read("probe", "ADDRESS", words[2], 0, 65535, &address) ||
        (options->count && !field_number_read("probe", "--count", options->count, 1, COUNT_MAX, &count)) ||
        (options->timeout && !field_number_read("probe", "--timeout", options->timeout, 5, 10000, &timeout_ms)) ||
        (options->bauds && !field_number_read("probe", "--baud", options->bauds, 300, 1000000, &baud)) ||
        (options->parities && !field_parities_read("probe", options->parities, parities, &parities_count)) ||
        (options->table && !read_table(options->table, &probe->function)))
        return false;
    if (address + count > 0x10000)
        count = 0x10000 - address;
    probe->unit_id = (uint8_t)unit;
    probe->address = (uint16_t)address;
    probe->count = (uint16_t)count;
    probe->timeout_us = (int64_t)timeout_ms * 1000;
    probe->port.spec.baud = (uint32_t)baud;
    probe->port.spec.parity = parities[0];
    if (options->state)
        probe->port.state_dir = options->state;
    return true;
}

int command_probe(int argc, char **argv) {
    static const struct option names[] = {{"baud", required_argument, NULL, 'b'},  {"parity", required_argument, NULL, 'y'},
                                          {"count", required_argument, NULL, 'n'}, {"timeout", required_argument, NULL, 't'},
                                          {"read", required_argument, NULL, 'r'},  {"state", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    struct options options = {0};
    struct probe probe = {.function = 0};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "b:h", names, NULL)) != -1;) {
        if (option == 'b')
            options.bauds = optarg;
        else if (option == 'y')
            options.parities = optarg;
        else if (option == 'n')
            options.count = optarg;
        else if (option == 't')
            options.timeout = optarg;
        else if (option == 'r')
            options.table = optarg;
        else if (option == 's')
            options.state = optarg;
        else {
            (void)fputs(usage_text, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (optind + 3 != argc) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    return understand(&probe, argv + optind, &options) ? probe_run(&probe) : 2;
}
