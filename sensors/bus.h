/* SPDX-License-Identifier: Apache-2.0 */
/* One request on a bus and its one answer: the contract between a pure poller and the shell that owns the wire
 * (bus_rtu.c: a thread per serial line; bus_tcp.c: non-blocking on the loop). A bus has at most one request under way. */
#ifndef YANHUO_BUS_H
#define YANHUO_BUS_H

#include "base/now.h"
#include "sensors/frame.h"

struct bus_request {
    uint8_t unit_id;
    struct pdu pdu;
    int64_t timeout_us; /* from the end of the request's own wire time to the reply's last byte expected so far */
};

enum bus_status {
    BUS_ANSWERED,     /* pdu holds an answer of the right unit, function and length (or an exception) */
    BUS_TIMEOUT,      /* nothing came */
    BUS_CORRUPT,      /* something came, none of it a valid answer */
    BUS_DISCONNECTED, /* no port or no connection; `os_error` says why */
};

const char *bus_status_name(enum bus_status status);

struct bus_answer {
    enum bus_status status;
    struct pdu pdu;
    struct now now;       /* when the answer's last byte was read, or the request given up */
    int64_t turnaround_us; /* from the request's last byte to the answer's first, as well as it is known; 0 without an answer */
    int os_error;
    bool cut; /* given up before its time, because a write waits (poller_cut_us): says nothing about the device */
};

/* Where a bus is. Strings live as long as the configuration. */
enum bus_kind { BUS_SERIAL, BUS_TCP, BUS_RTU_OVER_TCP };
enum bus_parity { PARITY_NONE, PARITY_EVEN, PARITY_ODD };

struct bus_spec {
    const char *name;
    uint16_t bus; /* index in the configuration */
    enum bus_kind kind;
    const char *serial; /* device node of a serial line */
    uint32_t baud; /* RTU over TCP: of the line behind the converter; 0 when it is not known */
    enum bus_parity parity;
    uint8_t stop_bits;
    const char *host; /* of a TCP endpoint */
    uint16_t port;
    uint32_t connect_timeout_ms;
};

/* 8 data bits always; 0 baud for a network, on which characters take no time, and for a line of unknown speed behind one. */
struct line_timing bus_line_timing(const struct bus_spec *bus);

#endif
