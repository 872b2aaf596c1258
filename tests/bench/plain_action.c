/* SPDX-License-Identifier: Apache-2.0 */
/* The peer of tests/bench/action: the loop that is usually written, once for each line. Blocking libmodbus, one read after the other,
 * a fixed pause of 3.5 characters and a flush before each request. When the first register of a watched unit becomes other than 0 the relay's
 * coil 0 is switched off at once, by the thread that saw it; a mutex keeps each line to one thread at a time, and a moment between two
 * transactions lets one that waits have it.
 *
 *   plain_action BAUD TIMEOUT_MS SECONDS RELAY_LINE:UNIT LINE_PORT... -- LINE:UNIT:ADDRESS:COUNT[:watched]...
 *   prints at the end: good GOOD failed FAILED written WRITTEN */
#include <modbus.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES 2
#define READS 64

struct line {
    modbus_t *modbus;
    pthread_mutex_t mutex;
};

struct read {
    int line, unit, address, count;
    bool watched, on;
};

static struct line lines[LINES];
static struct read reads[READS];
static int lines_count, reads_count, relay_line, relay_unit;
static int64_t pause_us, until_us;
static volatile sig_atomic_t stopping;
static atomic_ulong good, failed, written;

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void take(struct line *line, int unit) {
    usleep(100);
    pthread_mutex_lock(&line->mutex);
    usleep((useconds_t)pause_us);
    modbus_flush(line->modbus);
    modbus_set_slave(line->modbus, unit);
}

static void cut(void) {
    struct line *line = &lines[relay_line];
    take(line, relay_unit);
    written += modbus_write_bit(line->modbus, 0, 0) == 1;
    pthread_mutex_unlock(&line->mutex);
}

static void ask(struct read *it) {
    uint16_t registers[MODBUS_MAX_READ_REGISTERS];
    struct line *line = &lines[it->line];
    take(line, it->unit);
    bool right = modbus_read_registers(line->modbus, it->address, it->count, registers) == it->count;
    pthread_mutex_unlock(&line->mutex);
    good += right;
    failed += !right;
    if (!right || !it->watched)
        return;
    bool came = registers[0] != 0 && !it->on;
    it->on = registers[0] != 0;
    if (came)
        cut();
}

static void *run(void *context) {
    int line = (int)((struct line *)context - lines);
    while (!stopping && now_us() < until_us)
        for (int i = 0; i < reads_count && !stopping; i++)
            if (reads[i].line == line)
                ask(&reads[i]);
    return NULL;
}

static bool open_line(const char *port, int baud, int timeout_ms) {
    struct line *line = &lines[lines_count++];
    pthread_mutex_init(&line->mutex, NULL);
    line->modbus = modbus_new_rtu(port, baud, 'E', 8, 1);
    if (!line->modbus || modbus_set_slave(line->modbus, 1) < 0 || modbus_connect(line->modbus) < 0)
        return false;
    modbus_set_response_timeout(line->modbus, (uint32_t)timeout_ms / 1000, (uint32_t)timeout_ms % 1000 * 1000);
    return true;
}

int main(int argc, char **argv) {
    pthread_t threads[LINES];
    if (argc < 7 || sscanf(argv[4], "%d:%d", &relay_line, &relay_unit) != 2) {
        fprintf(stderr, "usage: plain_action BAUD TIMEOUT_MS SECONDS RELAY_LINE:UNIT LINE_PORT... -- LINE:UNIT:ADDRESS:COUNT[:watched]...\n");
        return 2;
    }
    int baud = atoi(argv[1]), timeout_ms = atoi(argv[2]), i = 5;
    pause_us = baud > 19200 ? 1750 : 38500000 / baud + 1;
    until_us = now_us() + (int64_t)(atof(argv[3]) * 1000000);
    signal(SIGTERM, on_signal);
    for (; i < argc && strcmp(argv[i], "--") != 0 && lines_count < LINES; i++)
        if (!open_line(argv[i], baud, timeout_ms)) {
            fprintf(stderr, "plain_action: cannot open %s\n", argv[i]);
            return 1;
        }
    for (i++; i < argc && reads_count < READS; i++) {
        struct read *it = &reads[reads_count++];
        if (sscanf(argv[i], "%d:%d:%d:%d", &it->line, &it->unit, &it->address, &it->count) != 4 || it->line >= lines_count)
            return 2;
        it->watched = strstr(argv[i], ":watched") != NULL;
    }
    for (int l = 0; l < lines_count; l++)
        if (pthread_create(&threads[l], NULL, run, &lines[l]) != 0)
            return 1;
    for (int l = 0; l < lines_count; l++)
        pthread_join(threads[l], NULL);
    printf("good %lu failed %lu written %lu\n", (unsigned long)good, (unsigned long)failed, (unsigned long)written);
    return 0;
}
