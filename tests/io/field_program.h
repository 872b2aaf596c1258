/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo simulate` as a test drives it: the real program with a line and an endpoint in a folder of its own, its standard
 * input and output, and raw frames. Every wait has a deadline; what is expected and does not come fails the test. */
#ifndef YANHUO_FIELD_PROGRAM_H
#define YANHUO_FIELD_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sensors/frame.h"

#define FIELD_DEADLINE_US 10000000 /* of anything that must happen */
#define FIELD_SILENCE_MS 150       /* of what must not: many times longer than an answer takes */

struct field_program {
    pid_t pid;
    int to, from; /* its stdin and stdout */
    char folder[64], config[96], link[96];
    uint16_t port;
    char buffered[4096];
    size_t buffered_size;
};

/* Set-up and tear-down of cmocka: the folder with its configuration; and the program as well, until it is ready. */
int field_begin(void **state);
int field_begin_ready(void **state);
int field_finish(void **state);

void field_launch(struct field_program *program);
void field_launch_ready(struct field_program *program); /* and waits until it is */
/* The next line it prints, without its end; "" when it ended. */
void field_next_line(struct field_program *program, char *line, size_t size);
void field_expect_line(struct field_program *program, const char *wanted);
void field_command(struct field_program *program, const char *text, const char *wanted);
/* Until it ended: its exit status, -1 for a signal. */
int field_wait_for(struct field_program *program);

/* As a gateway: -1 when the endpoint is not there. */
int field_dial(const struct field_program *program);
int field_open_line(const struct field_program *program);
/* Reads until `size` bytes came, the other side closed, or `wait_ms` passed without any; the number that came. */
size_t field_receive(int fd, uint8_t *bytes, size_t size, int wait_ms);
void field_say(int fd, const uint8_t *bytes, size_t size);
void field_expect_reply(int fd, const uint8_t *wanted, size_t size);
void field_expect_silence(int fd);
size_t field_rtu(uint8_t unit_id, const uint8_t *pdu, size_t size, uint8_t frame[FRAME_SIZE]);

#endif
