/* SPDX-License-Identifier: Apache-2.0 */
#include "subscriber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"

#define LINE_MAX_SIZE (1 << 17)
#define READY_TOPIC "yanhuo/v1/t/ready" /* retained before: its arrival tells that the subscription stands */
#define READY_US 20000000

static void become(const char *port, const char *client_id) {
    const char *arguments[] = {"stdbuf", "-oL", "mosquitto_sub", "-p", port, "-q", "1", "-t", "yanhuo/v1/t/#", "-F", "%t %p", NULL, NULL, NULL, NULL};
    if (client_id) {
        arguments[11] = "-c";
        arguments[12] = "-i";
        arguments[13] = client_id;
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    }
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

void subscriber_start(struct subscriber *subscriber, uint16_t port, const char *client_id, void (*take)(const char *line)) {
    char port_text[8];
    int out[2];
    memset(subscriber, 0, sizeof(*subscriber));
    subscriber->take = take;
    subscriber->line = malloc(LINE_MAX_SIZE);
    assert_non_null(subscriber->line);
    snprintf(port_text, sizeof(port_text), "%u", port);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    subscriber->fd = out[0];
    subscriber->pid = fork();
    assert_true(subscriber->pid >= 0);
    if (subscriber->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        become(port_text, client_id);
    }
    close(out[1]);
    char command[160];
    snprintf(command, sizeof(command), "mosquitto_pub -p %s -q 1 -r -t " READY_TOPIC " -m yes", port_text);
    assert_int_equal(system(command), 0);
    for (int64_t end_us = now_mono_us() + READY_US; !subscriber->ready;) {
        assert_true(now_mono_us() < end_us);
        subscriber_read(subscriber, 20);
    }
}

void subscriber_read(struct subscriber *subscriber, int wait_ms) {
    struct pollfd readable = {.fd = subscriber->fd, .events = POLLIN};
    while (poll(&readable, 1, wait_ms) > 0) {
        ssize_t got = read(subscriber->fd, subscriber->line + subscriber->line_size, LINE_MAX_SIZE - 1 - subscriber->line_size);
        assert_true(got > 0);
        subscriber->line_size += (size_t)got;
        char *begin = subscriber->line, *end;
        while ((end = memchr(begin, '\n', subscriber->line_size - (size_t)(begin - subscriber->line)))) {
            *end = '\0';
            if (strncmp(begin, READY_TOPIC " ", sizeof(READY_TOPIC)) == 0)
                subscriber->ready = true;
            else
                subscriber->take(begin);
            begin = end + 1;
        }
        subscriber->line_size -= (size_t)(begin - subscriber->line);
        memmove(subscriber->line, begin, subscriber->line_size);
        assert_true(subscriber->line_size < LINE_MAX_SIZE - 1);
        wait_ms = 0;
    }
}

void subscriber_stop(struct subscriber *subscriber) {
    if (subscriber->pid <= 0)
        return;
    kill(subscriber->pid, SIGKILL);
    waitpid(subscriber->pid, NULL, 0);
    close(subscriber->fd);
    free(subscriber->line);
}
