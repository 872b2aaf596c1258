/* SPDX-License-Identifier: Apache-2.0 */
/* A Modbus TCP (or RTU over TCP) endpoint: non-blocking on the caller's libuv loop, no thread. Steps its poller itself.
 * Everything here, and the sink, runs on the loop thread. A sink may call bus_tcp_write and bus_tcp_release: they take effect
 * when it has returned. The program must ignore SIGPIPE. */
#ifndef YANHUO_BUS_TCP_H
#define YANHUO_BUS_TCP_H

#include "sensors/poller.h"

struct bus_tcp;

/* `uv_loop` is the uv_loop_t the endpoint lives on. */
NODISCARD enum err bus_tcp_open(void *uv_loop, const struct bus_spec *bus, struct poller *poller, struct trace *trace, const struct bus_sink *sink,
                                struct bus_tcp **ret_bus);
/* Closes the handles; `closed` is called from the loop when the memory is gone. NULL is allowed. */
void bus_tcp_close(struct bus_tcp *bus, void (*closed)(void *context), void *context);

/* ERR_FULL when WRITES_PENDING_MAX writes wait. */
NODISCARD enum err bus_tcp_write(struct bus_tcp *bus, const struct write_command *write);
void bus_tcp_release(struct bus_tcp *bus);

/* ERR_FULL while another guest has no answer. `sink` is copied; a guest that is here at bus_tcp_close gets none. */
NODISCARD enum err bus_tcp_guest(struct bus_tcp *bus, const struct guest_request *guest, const struct guest_sink *sink);

#endif
