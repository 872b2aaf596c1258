/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line: its port and the thread that steps its poller, because silence on the line must be kept to the character
 * whatever the loop does. rtu_port.c opens and configures the port with libmodbus; the receive side is ours.
 * Owner: run.c. bus_rtu_open/start/close and the post functions are called from the loop thread; the sink from the line's thread. */
#ifndef YANHUO_BUS_RTU_H
#define YANHUO_BUS_RTU_H

#include "sensors/poller.h"

struct bus_rtu;

/* Nothing is asked before bus_rtu_start; what is posted until then goes first. `trace` is the trace the poller was created with. */
NODISCARD enum err bus_rtu_open(const struct bus_spec *bus, struct poller *poller, struct trace *trace, const struct bus_sink *sink,
                                struct bus_rtu **ret_bus);
/* Starts the thread; `poller` belongs to it until bus_rtu_close. A port that cannot be opened is not an error here: the line keeps
 * trying with growing pauses and its devices are polled as BUS_DISCONNECTED. ERR_NOMEM when no thread can be had. */
NODISCARD enum err bus_rtu_start(struct bus_rtu *bus);
/* Ends after the transaction under way; NULL is allowed. */
void bus_rtu_close(struct bus_rtu *bus);

/* ERR_FULL when WRITES_PENDING_MAX writes wait. */
NODISCARD enum err bus_rtu_write(struct bus_rtu *bus, const struct write_command *write);
void bus_rtu_release(struct bus_rtu *bus);

/* ERR_FULL while another guest has no answer. `sink` is copied; a guest that is here at bus_rtu_close gets none. */
NODISCARD enum err bus_rtu_guest(struct bus_rtu *bus, const struct guest_request *guest, const struct guest_sink *sink);

/* How long the adapter behind a port may keep bytes back, in ms; -1 when its driver does not say, or it is not plugged in.
 * Any thread. */
int bus_rtu_latency_ms(const char *serial);

/* Microseconds since the line's thread last finished a step, for the watchdog. Any thread. */
int64_t bus_rtu_idle_us(const struct bus_rtu *bus);

#endif
