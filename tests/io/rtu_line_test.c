/* SPDX-License-Identifier: Apache-2.0 */
/* One transaction on a pty: what it makes of every kind of fault. Answers that are wrong must never become values, and
 * whatever was on the line, the next transaction is whole again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "fake_slave.h"
#include "sensors/rtu_line.h"

#define BAUD 19200
#define UNIT 5
#define TIMEOUT_US 300000

static bool noise_before(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    static const uint8_t noise[] = {0, UNIT, 0xFF, UNIT, 3, 7};
    fake_send(slave, noise, sizeof(noise));
    return fake_good(slave, request, request_size, good, good_size);
}

static bool noise_byte_then_late_start(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    static const uint8_t noise = UNIT; /* looks like the beginning, and is followed by more than the byte timeout */
    fake_send(slave, &noise, 1);
    fake_pause_ms(60);
    return fake_good(slave, request, request_size, good, good_size);
}

static bool noise_inside(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    static const uint8_t noise = 0x55;
    (void)request;
    (void)request_size;
    fake_send(slave, good, 4);
    fake_send(slave, &noise, 1);
    fake_send(slave, good + 4, good_size - 4);
    return true;
}

static bool wrong_unit(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    struct pdu pdu = {.size = (uint8_t)(good_size - 3)};
    uint8_t frame[FRAME_SIZE];
    (void)request;
    (void)request_size;
    memcpy(pdu.bytes, good + 1, pdu.size);
    fake_send(slave, frame, frame_rtu(UNIT + 1, &pdu, frame));
    return true;
}

static bool wrong_unit_then_right(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    wrong_unit(slave, request, request_size, good, good_size);
    fake_pause_ms(50);
    return fake_good(slave, request, request_size, good, good_size);
}

static bool truncated(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    fake_send(slave, good, good_size - 2);
    return true;
}

static bool crc_error(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    uint8_t frame[FRAME_SIZE];
    (void)request;
    (void)request_size;
    memcpy(frame, good, good_size);
    frame[good_size - 1] ^= 1;
    fake_send(slave, frame, good_size);
    return true;
}

static bool echo(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    fake_send(slave, request, request_size);
    return fake_good(slave, request, request_size, good, good_size);
}

static bool echo_only(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)good;
    (void)good_size;
    fake_send(slave, request, request_size);
    return true;
}

static bool single_bytes(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    for (size_t i = 0; i < good_size; i++) {
        fake_send(slave, good + i, 1);
        fake_pause_ms(2);
    }
    return true;
}

static bool dribbling(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    for (size_t i = 0; i < good_size && !atomic_load(&slave->stopping); i++) {
        fake_send(slave, good + i, 1);
        fake_pause_ms(25); /* under the byte timeout of 31 ms each, and far too long in sum for a long answer */
    }
    return true;
}

static bool exception(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    struct pdu pdu = {.bytes = {(uint8_t)(request[1] | 0x80), 2}, .size = 2};
    uint8_t frame[FRAME_SIZE];
    (void)request_size;
    (void)good;
    (void)good_size;
    fake_send(slave, frame, frame_rtu(request[0], &pdu, frame));
    return true;
}

static bool late(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    fake_pause_ms(TIMEOUT_US / 1000 + 15);
    return fake_good(slave, request, request_size, good, good_size);
}

/* A character of 4800 baud takes 2083 us. */
static bool at_the_pace_of_4800(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    int64_t begin_us = now_mono_us();
    for (size_t i = 0; i < good_size; i++) {
        int64_t left_us = begin_us + (int64_t)(i + 1) * 2084 - now_mono_us();
        (void)usleep(left_us > 0 ? (useconds_t)left_us : 0);
        fake_send(slave, good + i, 1);
    }
    return true;
}

static void transact(struct rtu_line *line, const struct pdu *pdu, struct bus_answer *ret_answer) {
    struct bus_request request = {.unit_id = UNIT, .pdu = *pdu, .timeout_us = TIMEOUT_US};
    rtu_line_transact(line, &request, ret_answer);
}

static void line_open(struct fake_slave *slave, struct rtu_line *line, fake_script *script) {
    struct line_timing timing = {.baud = BAUD, .bits_per_character = 10};
    fake_slave_pty(slave, script);
    int fd = open(slave->path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(fd >= 0);
    rtu_line_init(line, fd, &timing);
}

static void line_close(struct fake_slave *slave, struct rtu_line *line) {
    close(line->fd);
    fake_slave_stop(slave);
}

struct fault {
    const char *name;
    fake_script *script;
    enum bus_status status;
    uint16_t count;
    unsigned ms_max; /* how long it may take on an idle machine, with some room; a third of the timeout where it must not be waited for */
};

static const struct fault faults[] = {
    {"good", fake_good, BUS_ANSWERED, 4, 60},
    {"longest", fake_good, BUS_ANSWERED, 125, 250},
    {"silent", fake_silent, BUS_TIMEOUT, 4, 360},
    {"noise before", noise_before, BUS_ANSWERED, 4, 60},
    {"noise byte, then a late start", noise_byte_then_late_start, BUS_ANSWERED, 4, 130},
    {"noise inside", noise_inside, BUS_CORRUPT, 4, 80},
    {"wrong unit", wrong_unit, BUS_CORRUPT, 4, 360},
    {"wrong unit, then the right one", wrong_unit_then_right, BUS_ANSWERED, 4, 110},
    {"truncated", truncated, BUS_CORRUPT, 4, 80},
    {"CRC error", crc_error, BUS_CORRUPT, 4, 60},
    {"echo", echo, BUS_ANSWERED, 4, 60},
    {"echo, then silence", echo_only, BUS_TIMEOUT, 4, 360},
    {"single bytes", single_bytes, BUS_ANSWERED, 4, 130},
    {"dribbling for 6 s", dribbling, BUS_CORRUPT, 125, 700},
    {"exception", exception, BUS_ANSWERED, 4, 60},
    {"late", late, BUS_TIMEOUT, 4, 360},
};

/* After each fault the next transaction must be whole again: its own values, not something left over. */
static void each_fault_has_its_status_and_leaves_the_line_clean(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        struct fake_slave slave;
        struct rtu_line line;
        struct bus_answer answer;
        struct pdu pdu;
        line_open(&slave, &line, faults[i].script);
        frame_read(&pdu, FC_READ_HOLDING, 0x10, faults[i].count);
        int64_t begun_us = now_mono_us();
        transact(&line, &pdu, &answer);
        int64_t took_ms = (now_mono_us() - begun_us) / 1000;
        if (answer.status != faults[i].status || took_ms > faults[i].ms_max * 3)
            print_error("%s: %s in %d ms\n", faults[i].name, bus_status_name(answer.status), (int)took_ms);
        assert_int_equal(answer.status, faults[i].status);
        assert_true(took_ms <= faults[i].ms_max * 3); /* three times: the machine may be busy */
        if (answer.status == BUS_ANSWERED && faults[i].script != exception) {
            assert_int_equal(answer.pdu.size, 2 + 2 * faults[i].count);
            assert_int_equal(answer.pdu.bytes[3], 0x10);
        }
        if (faults[i].script == dribbling) /* it is still talking, for seconds */
            assert_true(took_ms >= TIMEOUT_US / 1000);
        atomic_store(&slave.script, fake_good);
        if (faults[i].script != dribbling) {
            fake_pause_ms(30); /* the late answer comes now, while nothing is asked: it is dropped */
            frame_read(&pdu, FC_READ_HOLDING, 0x40, faults[i].count);
            transact(&line, &pdu, &answer);
            assert_int_equal(answer.status, BUS_ANSWERED);
            assert_int_equal(answer.pdu.bytes[3], 0x40);
        }
        line_close(&slave, &line);
    }
}

static void listens_before_it_talks(void **state) {
    (void)state;
    struct fake_slave slave;
    struct rtu_line line;
    struct bus_answer answer;
    struct pdu pdu;
    struct line_timing timing = {.baud = BAUD, .bits_per_character = 10};
    line_open(&slave, &line, fake_good);
    frame_read(&pdu, FC_READ_HOLDING, 1, 1);
    for (int i = 0; i < 20; i++) {
        transact(&line, &pdu, &answer);
        assert_int_equal(answer.status, BUS_ANSWERED);
        int64_t heard_us = line.busy_until_us;
        int64_t begun_us = now_mono_us();
        transact(&line, &pdu, &answer);
        assert_int_equal(answer.status, BUS_ANSWERED);
        /* the second request cannot have left earlier than the silence after the first answer, and takes its own wire time */
        assert_true(begun_us - heard_us < 1000000);
        assert_true(answer.now.mono_us >= heard_us + line_silence_us(&timing));
    }
    uint8_t noise[3] = {1, 2, 3};
    assert_int_equal(write(slave.fd, noise, sizeof(noise)), sizeof(noise));
    fake_pause_ms(5);
    transact(&line, &pdu, &answer);
    assert_int_equal(answer.status, BUS_ANSWERED);
    assert_int_equal(line.bytes_dropped, 3);
    line_close(&slave, &line);
}

static void a_write_needs_an_equal_echo(void **state) {
    (void)state;
    struct fake_slave slave;
    struct rtu_line line;
    struct bus_answer answer;
    struct pdu pdu, read;
    frame_write_coil(&pdu, 3, 0xFF00);
    frame_read(&read, FC_READ_HOLDING, 1, 1);
    line_open(&slave, &line, fake_good);
    transact(&line, &pdu, &answer);
    assert_int_equal(answer.status, BUS_ANSWERED);
    atomic_store(&slave.script, echo);
    transact(&line, &read, &answer); /* here the line learns that the adapter echoes */
    assert_int_equal(answer.status, BUS_ANSWERED);
    assert_true(line.echoes);
    atomic_store(&slave.script, echo_only);
    transact(&line, &pdu, &answer);
    assert_int_equal(answer.status, BUS_TIMEOUT); /* a dead relay is not reported as switched */
    atomic_store(&slave.script, echo);
    transact(&line, &pdu, &answer);
    assert_int_equal(answer.status, BUS_ANSWERED);
    line_close(&slave, &line);
}

/* Nothing was read on the line yet: whether it echoes is found out before the write is believed. */
static void the_first_request_may_be_a_write(void **state) {
    (void)state;
    static const struct {
        fake_script *script;
        enum bus_status status;
        bool echoes;
    } cases[] = {{fake_good, BUS_ANSWERED, false}, {fake_silent, BUS_TIMEOUT, false}, {echo, BUS_ANSWERED, true}, {echo_only, BUS_TIMEOUT, true}};
    struct pdu coil, value, read;
    frame_write_coil(&coil, 3, 0xFF00);
    frame_write_register(&value, 3, 7);
    frame_read(&read, FC_READ_HOLDING, 1, 1);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct fake_slave slave;
        struct rtu_line line;
        struct bus_answer answer;
        line_open(&slave, &line, cases[i].script);
        transact(&line, i % 2 ? &coil : &value, &answer);
        assert_int_equal(answer.status, cases[i].status);
        assert_true(line.echo_known && line.echoes == cases[i].echoes);
        assert_int_equal(atomic_load(&slave.requests), 2); /* one to nobody, once */
        transact(&line, &value, &answer);
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(atomic_load(&slave.requests), 3);
        line_close(&slave, &line);
        line_open(&slave, &line, cases[i].script); /* a read tells it as well, answered or not */
        transact(&line, &read, &answer);
        transact(&line, &coil, &answer);
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(atomic_load(&slave.requests), 2);
        line_close(&slave, &line);
    }
}

/* A thread that is woken for each byte would wait 56 times for these 55 bytes. */
static void a_long_answer_wakes_seldom(void **state) {
    (void)state;
    struct fake_slave slave;
    struct rtu_line line;
    struct bus_answer answer;
    struct pdu pdu;
    struct line_timing timing = {.baud = 4800, .bits_per_character = 10};
    long fewest = LONG_MAX;
    line_open(&slave, &line, at_the_pace_of_4800);
    line.timing = timing;
    frame_read(&pdu, FC_READ_HOLDING, 0x10, 25);
    for (int i = 0; i < 5; i++) { /* on a busy machine the first bytes may come together, and then there is no nap */
        struct rusage before, after;
        assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
        transact(&line, &pdu, &answer);
        assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
        assert_int_equal(answer.status, BUS_ANSWERED);
        assert_int_equal(answer.pdu.size, 52);
        assert_int_equal(answer.pdu.bytes[3], 0x10);
        long waits = after.ru_nvcsw - before.ru_nvcsw;
        fewest = waits < fewest ? waits : fewest;
    }
    assert_in_range(fewest, 3, 20);
    line_close(&slave, &line);
}

static void a_hang_up_is_told_at_once(void **state) {
    (void)state;
    struct fake_slave slave;
    struct rtu_line line;
    struct bus_answer answer;
    struct pdu pdu;
    line_open(&slave, &line, fake_silent);
    fake_slave_stop(&slave);
    frame_read(&pdu, FC_READ_HOLDING, 1, 1);
    int64_t begun_us = now_mono_us();
    transact(&line, &pdu, &answer);
    assert_int_equal(answer.status, BUS_DISCONNECTED);
    assert_int_equal(answer.os_error, EIO);
    assert_true(now_mono_us() - begun_us < TIMEOUT_US);
    close(line.fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_has_its_status_and_leaves_the_line_clean),
        cmocka_unit_test(listens_before_it_talks),
        cmocka_unit_test(a_write_needs_an_equal_echo),
        cmocka_unit_test(the_first_request_may_be_a_write),
        cmocka_unit_test(a_long_answer_wakes_seldom),
        cmocka_unit_test(a_hang_up_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
