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

#define LINE_MAX_SIZE (1 << 17)

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
