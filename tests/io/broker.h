/* SPDX-License-Identifier: Apache-2.0 */
/* A private mosquitto for one test: on a free loopback port, in a temporary folder, with the configuration the test gives.
 * Nothing is left behind, whatever becomes of the test: a guard process waits for the test's end, also by a crash, then kills
 * the broker and removes the folder. Every function fails the test when it cannot do its work. */
#ifndef TESTS_BROKER_H
#define TESTS_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct broker {
    uint16_t port;
    pid_t pid, guard; /* 0: not running */
    int guard_fd;
    char folder[64];
    char path[8][128]; /* broker_path's results, in turn */
    unsigned path_next;
};

/* Makes the folder and finds the port; nothing runs yet. */
void broker_init(struct broker *broker);
/* Kills what runs and removes the folder. */
void broker_done(struct broker *broker);

/* Writes mosquitto.conf: a listener on the port, the lines given ("allow_anonymous true\n" when NULL), and starts it; returns
 * when it takes connections. */
void broker_start(struct broker *broker, const char *lines);
void broker_stop(struct broker *broker);    /* SIGTERM, and waits */
void broker_kill(struct broker *broker);    /* SIGKILL, and waits */
void broker_restart(struct broker *broker); /* with the configuration and port it had */
void broker_pause(struct broker *broker);   /* SIGSTOP: connections stay open and nothing answers */
void broker_resume(struct broker *broker);

/* A file in the folder; good until eight more were asked for. */
const char *broker_path(struct broker *broker, const char *name);
void broker_write(struct broker *broker, const char *name, const char *text);

/* Runs a command line of the shell in the folder and fails the test unless it ends with 0. */
void broker_run(struct broker *broker, const char *command);

/* mosquitto_passwd's file "passwords" with one user. */
void broker_password(struct broker *broker, const char *user, const char *password);

/* Makes ca.pem and other-ca.pem; server.pem and server.key for 127.0.0.1 and localhost, wrong.pem and wrong.key for another
 * host, client.pem and client.key, all signed by ca.pem. */
void broker_certificates(struct broker *broker);

/* A loopback port that was free a moment ago. */
uint16_t broker_free_port(void);

#endif
