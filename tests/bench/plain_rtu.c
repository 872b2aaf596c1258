/* SPDX-License-Identifier: Apache-2.0 */
/* The peer on a serial line: the loop that is usually written. Blocking libmodbus, one read after the other, a fixed pause of
 * 3.5 characters and a flush before each request. Values check themselves: register ADDRESS of unit UNIT holds 256 * UNIT +
 * ADDRESS.
 *
 *   plain_rtu PORT BAUD TIMEOUT_MS SECONDS UNIT:ADDRESS:COUNT...
 *   prints at the end: good GOOD failed FAILED wrong WRONG */
#include <modbus.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: plain_rtu PORT BAUD TIMEOUT_MS SECONDS UNIT:ADDRESS:COUNT...\n");
        return 2;
    }
    int baud = atoi(argv[2]), timeout_ms = atoi(argv[3]);
    int64_t pause_us = baud > 19200 ? 1750 : 38500000 / baud + 1, until_us = now_us() + (int64_t)(atof(argv[4]) * 1000000);
    unsigned long good = 0, failed = 0, wrong = 0;
    signal(SIGTERM, on_signal);
    modbus_t *modbus = modbus_new_rtu(argv[1], baud, 'E', 8, 1);
    if (!modbus || modbus_set_slave(modbus, 1) < 0 || modbus_connect(modbus) < 0) {
        fprintf(stderr, "plain_rtu: cannot open %s\n", argv[1]);
        return 1;
    }
    modbus_set_response_timeout(modbus, (uint32_t)timeout_ms / 1000, (uint32_t)timeout_ms % 1000 * 1000);
    for (int i = 5; !stopping && now_us() < until_us; i = i + 1 < argc ? i + 1 : 5) {
        int unit, address, count;
        uint16_t registers[MODBUS_MAX_READ_REGISTERS];
        if (sscanf(argv[i], "%d:%d:%d", &unit, &address, &count) != 3)
            return 2;
        usleep((useconds_t)pause_us);
        modbus_flush(modbus);
        modbus_set_slave(modbus, unit);
        if (modbus_read_registers(modbus, address, count, registers) != count) {
            failed++;
            continue;
        }
        bool right = true;
        for (int r = 0; r < count; r++)
            right = right && registers[r] == 256 * unit + address + r;
        good += right;
        wrong += !right;
    }
    printf("good %lu failed %lu wrong %lu\n", good, failed, wrong);
    modbus_close(modbus);
    modbus_free(modbus);
    return 0;
}
