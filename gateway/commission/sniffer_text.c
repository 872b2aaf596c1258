/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges as a person reads them. */
#include <stdio.h>

#include "gateway/commission/sniffer.h"

static uint16_t u16_at(const struct pdu *pdu, size_t at) {
    return (uint16_t)(at + 1 < pdu->size ? pdu->bytes[at] << 8 | pdu->bytes[at + 1] : 0);
}

void sniffer_add_request(const struct sniffer_event *event, struct text *text) {
    static const char *const tables[] = {"", "coil", "discrete", "holding", "input"};
    const struct pdu *request = &event->request;
    char line[64];
    uint8_t function = request->size ? request->bytes[0] : 0;
    if (event->kind == SNIFFER_NOISE)
        (void)snprintf(line, sizeof(line), "no frame, %zu byte%s", event->noise_size, event->noise_size == 1 ? "" : "s");
    else if (event->kind == SNIFFER_STRAY || function == 0)
        (void)snprintf(line, sizeof(line), "answer to an unheard request");
    else if (function >= FC_READ_COILS && function <= FC_READ_INPUT)
        (void)snprintf(line, sizeof(line), "read %s 0x%04X x%u", tables[function], u16_at(request, 1), u16_at(request, 3));
    else if (function == FC_WRITE_COIL)
        (void)snprintf(line, sizeof(line), "write coil 0x%04X = %04X", u16_at(request, 1), u16_at(request, 3));
    else if (function == FC_WRITE_REGISTER)
        (void)snprintf(line, sizeof(line), "write holding 0x%04X = %04X", u16_at(request, 1), u16_at(request, 3));
    else if (function == FC_WRITE_COILS || function == FC_WRITE_REGISTERS)
        (void)snprintf(line, sizeof(line), "write %s 0x%04X x%u", function == FC_WRITE_COILS ? "coil" : "holding", u16_at(request, 1),
                       u16_at(request, 3));
    else
        (void)snprintf(line, sizeof(line), "function %u, %u bytes", function, (unsigned)request->size);
    text_add(text, line);
}

/* As many bytes as fit, registers by twos. */
static void add_bytes(struct text *text, const uint8_t *bytes, size_t size, bool registers, size_t width) {
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        bool gap = i > 0 && (!registers || i % 2 == 0);
        size_t rest = i + 1 < size ? 4 : 0; /* room for the mark */
        if (used + gap + 2 + rest > width) {
            text_add(text, " ...");
            return;
        }
        if (gap)
            text_add_char(text, ' ');
        text_add_char(text, digits[bytes[i] >> 4]);
        text_add_char(text, digits[bytes[i] & 15]);
        used += gap + 2u;
    }
}

void sniffer_add_answer(const struct sniffer_event *event, size_t width, struct text *text) {
    const struct pdu *reply = &event->reply;
    size_t kept = event->noise_size < SNIFFER_NOISE_KEPT ? event->noise_size : SNIFFER_NOISE_KEPT;
    char line[64];
    switch (event->kind) {
    case SNIFFER_ANSWERED:
    case SNIFFER_STRAY:
        if (reply->bytes[0] & 0x80)
            break;
        if (reply->bytes[0] <= FC_READ_INPUT && reply->size > 2)
            add_bytes(text, reply->bytes + 2, reply->size - 2u, reply->bytes[0] >= FC_READ_HOLDING, width);
        else if (reply->bytes[0] == FC_WRITE_COIL || reply->bytes[0] == FC_WRITE_REGISTER || reply->bytes[0] == FC_WRITE_COILS ||
                 reply->bytes[0] == FC_WRITE_REGISTERS)
            text_add(text, "done");
        else
            add_bytes(text, reply->bytes, reply->size, false, width);
        return;
    case SNIFFER_EXCEPTION:
        break;
    case SNIFFER_UNANSWERED:
        text_add(text, "no answer");
        return;
    case SNIFFER_BROADCAST:
        text_add(text, "(to all)");
        return;
    case SNIFFER_DAMAGED:
        text_add(text, "damaged: ");
        add_bytes(text, event->noise, kept, false, width > 9 ? width - 9 : 0);
        return;
    case SNIFFER_NOISE:
        add_bytes(text, event->noise, kept, false, width);
        return;
    }
    (void)snprintf(line, sizeof(line), "exception %u: %s", reply->bytes[1], frame_exception_name(reply->bytes[1]));
    text_add(text, line);
}
