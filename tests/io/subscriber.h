/* SPDX-License-Identifier: Apache-2.0 */
/* mosquitto_sub as a test reads it: all that the gateway "t" publishes, a line a message, "TOPIC PAYLOAD". */
#ifndef TESTS_SUBSCRIBER_H
#define TESTS_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct subscriber {
    pid_t pid;
    int fd; /* what it prints */
    char *line;
    size_t line_size;
    bool ready; /* subscribed: what is published from now on comes */
    void (*take)(const char *line);
};

/* Waits until it has subscribed. With a client id its session is durable, and it is quiet about a broker that is away; NULL: neither. */
void subscriber_start(struct subscriber *subscriber, uint16_t port, const char *client_id, void (*take)(const char *line));
/* Takes every line that is there; waits for the first as long as `wait_ms`. */
void subscriber_read(struct subscriber *subscriber, int wait_ms);
void subscriber_stop(struct subscriber *subscriber);

#endif
