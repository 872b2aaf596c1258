/* SPDX-License-Identifier: Apache-2.0 */
/* A line that the gateway has: its control socket (io/socket.h) asks for us. A read that it refuses because a late answer would
 * look like a fire point's is made with a register more, and what was asked is cut out of the answer. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "config/scalar.h"
#include "gateway/commands/control.h"
#include "gateway/commands/field.h"

#define WIDER_MAX 4

struct guest {
    int fd;
    char bus[NAME_SIZE];
    bool told;
};

static void guest_close(void *context) {
    struct guest *guest = context;
    close(guest->fd);
    free(guest);
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "HEX TURNAROUND_US" */
static bool read_answer(const char *text, struct bus_answer *ret_answer) {
    uint64_t turnaround_us;
    size_t size = 0;
    for (; digit(text[0]) >= 0 && digit(text[1]) >= 0 && size < PDU_SIZE; text += 2)
        ret_answer->pdu.bytes[size++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
    if (*text != ' ' || !text_read_u64(text + 1, &turnaround_us))
        return false;
    ret_answer->pdu.size = (uint8_t)size;
    ret_answer->turnaround_us = (int64_t)turnaround_us;
    return true;
}

static bool read_exception(const char *text, uint8_t function, struct bus_answer *ret_answer) {
    char code_text[8];
    uint64_t code, turnaround_us;
    const char *space = strchr(text, ' ');
    if (!space || (size_t)(space - text) >= sizeof(code_text))
        return false;
    memcpy(code_text, text, (size_t)(space - text));
    code_text[space - text] = '\0';
    if (!text_read_u64(code_text, &code) || code > 255 || !text_read_u64(space + 1, &turnaround_us))
        return false;
    ret_answer->pdu = (struct pdu){.bytes = {function | 0x80, (uint8_t)code}, .size = 2};
    ret_answer->turnaround_us = (int64_t)turnaround_us;
    return true;
}

static void tell_once(struct guest *guest, const char *what) {
    if (!guest->told)
        (void)fprintf(stderr, "%s\n", what);
    guest->told = true;
}

/* False: refused because of a fire point. */
static bool ask_once(struct guest *guest, const struct bus_request *request, struct bus_answer *ret_answer) {
    char line[SOCKET_LINE_SIZE];
    const uint8_t *bytes = request->pdu.bytes;
    int64_t timeout_ms = (request->timeout_us + 999) / 1000;
    (void)snprintf(line, sizeof(line), "request %s %u %02x%02x%02x%02x%02x %lld\n", guest->bus, request->unit_id, bytes[0], bytes[1], bytes[2],
                   bytes[3], bytes[4], (long long)timeout_ms);
    ret_answer->status = BUS_DISCONNECTED;
    ret_answer->os_error = ECONNRESET;
    if (!control_exchange(guest->fd, line, line))
        return true;
    if (strcmp(line, "refused fire") == 0)
        return false;
    if (strncmp(line, "answer ", 7) == 0 ? read_answer(line + 7, ret_answer)
                                         : strncmp(line, "exception ", 10) == 0 && read_exception(line + 10, bytes[0], ret_answer)) {
        ret_answer->status = BUS_ANSWERED;
    } else if (strcmp(line, "timeout") == 0 || strcmp(line, "corrupt") == 0) {
        ret_answer->status = line[0] == 't' ? BUS_TIMEOUT : BUS_CORRUPT;
    } else if (strcmp(line, "refused time") == 0) {
        ret_answer->os_error = ETIME;
        tell_once(guest, "The line has no pause that is long enough for this. A shorter --timeout may fit into one.");
    } else {
        ret_answer->os_error = EIO;
        tell_once(guest, line);
    }
    return true;
}

/* Takes `count` registers, the first of them `skip` registers into the answer. */
static void cut(struct bus_answer *answer, unsigned skip, unsigned count) {
    if (answer->status != BUS_ANSWERED || (answer->pdu.bytes[0] & 0x80) || answer->pdu.size < 2 + 2 * (skip + count))
        return;
    memmove(answer->pdu.bytes + 2, answer->pdu.bytes + 2 + 2u * skip, 2u * count);
    answer->pdu.bytes[1] = (uint8_t)(2 * count);
    answer->pdu.size = (uint8_t)(2 + 2 * count);
}

static bool is_exception(const struct bus_answer *answer) {
    return answer->status == BUS_ANSWERED && (answer->pdu.bytes[0] & 0x80);
}

static void guest_ask(void *context, const struct bus_request *request, struct bus_answer *ret_answer) {
    struct guest *guest = context;
    struct bus_request wider = *request;
    const uint8_t *bytes = request->pdu.bytes;
    unsigned address = (unsigned)bytes[1] << 8 | bytes[2], count = (unsigned)bytes[3] << 8 | bytes[4];
    if (bytes[0] < FC_READ_COILS || bytes[0] > FC_READ_INPUT) {
        ret_answer->status = BUS_DISCONNECTED;
        ret_answer->os_error = EPERM;
        return;
    }
    if (ask_once(guest, request, ret_answer))
        return;
    bool asked = false;
    for (unsigned more = 1; more <= WIDER_MAX && bytes[0] >= FC_READ_HOLDING && count + more <= REGISTERS_READ_MAX; more++)
        for (unsigned skip = 0; skip <= more && !field_interrupted(); skip += more) { /* first those behind, then those before */
            if (skip > address || address - skip + count + more > 0x10000)
                continue;
            frame_read(&wider.pdu, (enum frame_function)bytes[0], (uint16_t)(address - skip), (uint16_t)(count + more));
            if (!ask_once(guest, &wider, ret_answer))
                break; /* of this size there are fire points too */
            cut(ret_answer, skip, count);
            if (!is_exception(ret_answer))
                return;
            asked = true;
        }
    if (asked)
        return;
    tell_once(guest, "A fire point of this device is read with answers of the same size; a late one could be taken for its value. Try --count.");
    ret_answer->status = BUS_DISCONNECTED;
    ret_answer->os_error = EBUSY;
}

/* "bus NAME BAUD PARITY STOP_BITS" */
static bool read_bus(char *line, struct field_port *port, char bus[NAME_SIZE]) {
    char *rest = NULL, *head = strtok_r(line, " ", &rest), *name = strtok_r(NULL, " ", &rest), *baud_text = strtok_r(NULL, " ", &rest);
    char *parity_text = strtok_r(NULL, " ", &rest), *stop_text = strtok_r(NULL, " ", &rest);
    uint64_t baud, stop_bits;
    unsigned parity;
    if (!stop_text || strcmp(head, "bus") != 0 || !text_is_name(name) || !text_copy(bus, NAME_SIZE, name) || !text_read_u64(baud_text, &baud) ||
        baud > UINT32_MAX || !scalar_word(parity_text, strlen(parity_text), "none|even|odd", &parity) || !text_read_u64(stop_text, &stop_bits) ||
        stop_bits > 2)
        return false;
    port->spec.baud = (uint32_t)baud;
    port->spec.parity = (enum bus_parity)parity;
    port->spec.stop_bits = (uint8_t)stop_bits;
    return true;
}

struct bus_client *field_guest_open(struct field_port *port) {
    char real[PATH_MAX], line[SOCKET_LINE_SIZE];
    struct bus_client *client = NULL;
    struct guest *guest = calloc(1, sizeof(*guest));
    if (!guest)
        return NULL;
    guest->fd = control_connect(port->state_dir);
    const struct bus_client_proxy proxy = {guest, guest_ask, guest_close};
    if (guest->fd >= 0 && realpath(port->spec.serial, real) && snprintf(line, sizeof(line), "bus %s\n", real) < (int)sizeof(line) &&
        control_exchange(guest->fd, line, line) && read_bus(line, port, guest->bus) && bus_client_open_proxy(&port->spec, &proxy, &client) == 0) {
        port->shared = true;
        return client;
    }
    if (guest->fd >= 0)
        close(guest->fd);
    free(guest);
    return NULL;
}
