/* SPDX-License-Identifier: Apache-2.0 */
/* STATE_DIR/control, a unix stream socket: a person's commands ask a bus through the running gateway, in its spare time, or ask the
 * gateway itself to do something. One line is a request, one line its answer, in the order asked. Words parted by one space, ended by
 * a line feed; ASCII but for JSON, which is UTF-8.
 *
 *   bus NAME_OR_PORT                              -> bus NAME BAUD PARITY STOP_BITS     (BAUD 0: a network)
 *   request NAME_OR_PORT UNIT PDU TIMEOUT_MS      -> answer PDU TURNAROUND_US           the answer's PDU
 *       UNIT 1..255; PDU in hexadecimal: a read,     exception CODE TURNAROUND_US
 *       function 1 to 4, address and count;          timeout
 *       TIMEOUT_MS 1..10000                          corrupt
 *                                                    refused time                       no pause was long enough
 *                                                    refused fire                       poller.h, GUEST_LOOKS_FIRE: ask another count
 *   command VERB JSON                             -> JSON: docs/commands.md, "Reply"
 *   anything else                                 -> error TEXT, which says what was expected
 *
 * A bus is only read: what switches something is a command, which is recorded. Whoever may open the file may ask (mode 0660, in the
 * state folder, which is 0700 as a service); it goes with the gateway. Who a client is, the kernel says (SO_PEERCRED), not the client:
 * root and the gateway's own user may command what otherwise needs a signature, because they own the machine: they could read the
 * key, write the configuration, and write to the relay with the gateway stopped.
 *
 * Bounded, so that it slows nothing down: one request under way in all, the others wait in turn; SOCKET_CLIENTS_MAX clients, lines
 * of SOCKET_LINE_SIZE, a longer one ends the connection; a client's next line is looked at SOCKET_PAUSE_US after its last
 * answer, however many it sends, and what it sends meanwhile stays in the kernel; who says nothing for SOCKET_IDLE_US is let go.
 * The answer to a client that has gone is dropped; until it comes the others wait, at most for a guest's longest time. */
#ifndef YANHUO_SOCKET_H
#define YANHUO_SOCKET_H

#include "sensors/poller.h"

#define SOCKET_NAME "control"
#define SOCKET_CLIENTS_MAX 4
#define SOCKET_LINE_SIZE (COMMAND_SIZE + 128) /* "command VERB " and the longest command */
#define SOCKET_PAUSE_US 10000
#define SOCKET_IDLE_US 60000000
#define SOCKET_BUS_SIZE 256

enum socket_asks { SOCKET_ASKS_GUEST, SOCKET_ASKS_BUS, SOCKET_ASKS_COMMAND };

struct socket_request {
    enum socket_asks asks;
    char bus[SOCKET_BUS_SIZE];  /* GUEST, BUS */
    struct guest_request guest; /* GUEST; its id goes with every answer */
    char verb[NAME_SIZE];       /* COMMAND */
    uint32_t uid;               /* whose process it is, as the kernel says */
    bool owner;                 /* root, or the gateway's own user */
    uint32_t payload_size;
    char payload[SOCKET_LINE_SIZE]; /* COMMAND; nothing else is read when `asks` is something else */
};

struct socket_sink {
    void *context;
    void (*asked)(void *context, const struct socket_request *request); /* on the socket's thread; must copy and return */
};

struct socket_server;

/* Starts the thread. Not 0: an errno, and there is no socket. A socket left behind by a gateway that was killed is replaced. */
NODISCARD int socket_open(const char *state_dir, const struct socket_sink *sink, struct socket_server **ret_server);
void socket_close(struct socket_server *server); /* NULL is allowed */

/* The answer to the request with this id, without a line feed. Any thread. */
void socket_answer(struct socket_server *server, uint32_t id, const char *line);

/* How long the thread has been at its work, 0 while it waits for clients; for the watchdog. Any thread. */
int64_t socket_busy_us(const struct socket_server *server);

/* One line without its end; pure. False: *ret_error says what was expected. */
bool socket_line_read(char *line, struct socket_request *ret_request, const char **ret_error);
/* What came of a guest, as a line. */
void socket_line_answer(const struct guest_answer *answer, char line[SOCKET_LINE_SIZE]);

#endif
