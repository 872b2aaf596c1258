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
/* Starts the thread; `poller` belongs to it until it has ended. A port that cannot be opened is not an error here: the line keeps
 * trying with growing pauses and its devices are polled as BUS_DISCONNECTED. ERR_NOMEM when no thread can be had. */
NODISCARD enum err bus_rtu_start(struct bus_rtu *bus);
/* From now on this memory, with the poller in it, belongs to the line and goes when its thread has ended. */
void bus_rtu_give(struct bus_rtu *bus, struct arena *arena);
/* Ends after the transaction under way; a thread that does not end in BUS_RTU_CLOSE_US is left to itself. NULL is allowed. */
void bus_rtu_close(struct bus_rtu *bus);
#define BUS_RTU_CLOSE_US 3000000 /* longer than a write that is on its way; a read may be lost */

/* For a thread that hangs in the kernel: it is left to itself, its locks on the port are given up, writes and a guest that it had not
 * answered are answered BUS_DISCONNECTED on the caller's thread, and nothing of it reaches the sink any more. It frees what is its
 * own when it comes back; until then it counts as abandoned, and what the sink and `bus` point to must stay. */
void bus_rtu_abandon(struct bus_rtu *bus);
unsigned bus_rtu_abandoned(void); /* threads of this process that have not come back */
#define BUS_RTU_ABANDONED_MAX 8   /* beyond it nothing is replaced: each holds a stack, a poller and two descriptors */

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
