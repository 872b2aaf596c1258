/* SPDX-License-Identifier: Apache-2.0 */
/* One request at a time on a serial line or a network endpoint, waiting for the answer: for the commands with which a person
 * looks at a bus. Blocks the caller, has no thread and no poller; the gateway itself never uses it. */
#ifndef YANHUO_BUS_CLIENT_H
#define YANHUO_BUS_CLIENT_H

#include <sys/types.h>

#include "sensors/bus.h"

struct bus_client;

/* 0, or an errno; ERANGE when the host's name is not known. `spec` and its strings must outlive the client. */
NODISCARD int bus_client_open(const struct bus_spec *spec, struct bus_client **ret_client);
void bus_client_close(struct bus_client *client); /* NULL is allowed */

/* Somebody else has the bus and asks for us: reads only, and nothing can be heard beside them. */
struct bus_client_proxy {
    void *context;
    void (*ask)(void *context, const struct bus_request *request, struct bus_answer *ret_answer);
    void (*close)(void *context);
};
NODISCARD int bus_client_open_proxy(const struct bus_spec *spec, const struct bus_client_proxy *proxy, struct bus_client **ret_client);

/* Reads and writes as frame.h builds them. A network connection that was closed is made anew. */
void bus_client_ask(struct bus_client *client, const struct bus_request *request, struct bus_answer *ret_answer);

/* A request of any function: the answer is the first whole frame of that unit and function, or its exception. */
void bus_client_ask_any(struct bus_client *client, const struct bus_request *request, struct bus_answer *ret_answer);

/* What comes on a serial line until the time given: bytes, 0 when none came or a signal did, -1 when the port is gone. */
ssize_t bus_client_hear(struct bus_client *client, uint8_t *bytes, size_t size, int64_t until_us);

/* Bytes (on TCP: frames) heard so far that no request had asked for. */
uint64_t bus_client_strays(const struct bus_client *client);

/* What a person can do about an errno of bus_client_open. */
const char *bus_client_advice(int os_error);

#endif
