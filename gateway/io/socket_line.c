/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of socket.h. */
#include <string.h>

#include "base/hex.h"
#include "gateway/io/socket.h"

#define WORDS_MAX 5
#define READ_PDU_SIZE 5
#define EXCEPTION_FLAG 0x80

static const char *const expected =
    "expected 'bus NAME_OR_PORT', 'request NAME_OR_PORT UNIT PDU TIMEOUT_MS' or 'command VERB JSON', words parted by one space";
static const char command_word[] = "command ";

static unsigned split(char *line, char *words[WORDS_MAX + 1]) {
    unsigned count = 0;
    for (char *rest = line; rest && count <= WORDS_MAX;) {
        char *space = strchr(rest, ' ');
        words[count++] = rest;
        if (space)
            *space = '\0';
        rest = space ? space + 1 : NULL;
    }
    return count;
}

/* A read that the protocol allows. */
static bool read_pdu(const char *word, struct pdu *ret_pdu) {
    uint8_t bytes[READ_PDU_SIZE];
    if (strlen(word) != 2 * READ_PDU_SIZE || !hex_read(word, bytes, READ_PDU_SIZE))
        return false;
    uint16_t address = (uint16_t)(bytes[1] << 8 | bytes[2]), count = (uint16_t)(bytes[3] << 8 | bytes[4]);
    if (bytes[0] < FC_READ_COILS || bytes[0] > FC_READ_INPUT || count == 0 || (uint32_t)address + count > 0x10000 ||
        count > (bytes[0] <= FC_READ_DISCRETE ? BITS_READ_MAX : REGISTERS_READ_MAX))
        return false;
    frame_read(ret_pdu, (enum frame_function)bytes[0], address, count);
    return true;
}

/* What the JSON says is read later, on the loop, by what reads a broker's commands too. */
static bool read_command(const char *rest, struct socket_request *ret_request, const char **ret_error) {
    const char *space = strchr(rest, ' ');
    size_t length = space ? (size_t)(space - rest) : 0;
    *ret_error = "expected a verb and its JSON behind 'command', parted by one space; `yanhuo command` lists the verbs";
    if (length == 0 || length >= sizeof(ret_request->verb) || strlen(space + 1) >= sizeof(ret_request->payload))
        return false;
    ret_request->asks = SOCKET_ASKS_COMMAND;
    memcpy(ret_request->verb, rest, length);
    ret_request->payload_size = (uint32_t)strlen(space + 1);
    memcpy(ret_request->payload, space + 1, ret_request->payload_size);
    return true;
}

bool socket_line_read(char *line, struct socket_request *ret_request, const char **ret_error) {
    char *words[WORDS_MAX + 1];
    uint64_t unit_id, timeout_ms;
    memset(ret_request, 0, sizeof(*ret_request));
    if (strncmp(line, command_word, sizeof(command_word) - 1) == 0)
        return read_command(line + sizeof(command_word) - 1, ret_request, ret_error);
    unsigned count = split(line, words);
    *ret_error = expected;
    bool describes = count == 2 && strcmp(words[0], "bus") == 0;
    ret_request->asks = describes ? SOCKET_ASKS_BUS : SOCKET_ASKS_GUEST;
    if (!describes && (count != 5 || strcmp(words[0], "request") != 0))
        return false;
    *ret_error = "expected the name of a bus or its port";
    if (words[1][0] == '\0' || !text_is_utf8(words[1], strlen(words[1])) || !text_copy(ret_request->bus, sizeof(ret_request->bus), words[1]))
        return false;
    if (describes)
        return true;
    *ret_error = "expected a unit id from 1 to 255";
    if (!text_read_u64(words[2], &unit_id) || unit_id < 1 || unit_id > 255)
        return false;
    *ret_error = "expected ten hexadecimal digits: function 1 to 4, address, count";
    if (!read_pdu(words[3], &ret_request->guest.pdu))
        return false;
    *ret_error = "expected a timeout from 1 to 10000 milliseconds";
    if (!text_read_u64(words[4], &timeout_ms) || timeout_ms < 1 || timeout_ms > 10000)
        return false;
    ret_request->guest.unit_id = (uint8_t)unit_id;
    ret_request->guest.timeout_us = (int64_t)timeout_ms * 1000;
    return true;
}

static void add_answer(const struct guest_answer *answer, struct text *text) {
    const struct pdu *pdu = &answer->pdu;
    bool exception = pdu->size == 2 && (pdu->bytes[0] & EXCEPTION_FLAG) != 0;
    text_add(text, exception ? "exception " : "answer ");
    if (exception)
        text_add_u64(text, pdu->bytes[1]);
    else
        hex_add(text, pdu->bytes, pdu->size);
    text_add_char(text, ' ');
    text_add_s64(text, answer->turnaround_us);
}

void socket_line_answer(const struct guest_answer *answer, char line[SOCKET_LINE_SIZE]) {
    struct text text;
    text_init(&text, line, SOCKET_LINE_SIZE);
    if (answer->result == GUEST_NO_TIME)
        text_add(&text, "refused time");
    else if (answer->result == GUEST_LOOKS_FIRE)
        text_add(&text, "refused fire");
    else if (answer->status == BUS_ANSWERED)
        add_answer(answer, &text);
    else if (answer->status == BUS_TIMEOUT)
        text_add(&text, "timeout");
    else if (answer->status == BUS_CORRUPT)
        text_add(&text, "corrupt");
    else
        text_add(&text, "error the bus is not connected; the gateway's log says why");
}
