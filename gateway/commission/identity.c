/* SPDX-License-Identifier: Apache-2.0 */
/* The answer: 2B 0E, code, conformity, more, next, number of objects, then each object: id, length, bytes
 * (Modbus application protocol v1.1b3, section 6.21). What follows in further answers is not asked for. */
#include "gateway/commission/identity.h"

#include <string.h>

#define FC_ENCAPSULATED 0x2B
#define TYPE_IDENTITY 0x0E
#define HEAD_SIZE 7

void identity_request(struct pdu *ret_pdu) {
    static const uint8_t bytes[] = {FC_ENCAPSULATED, TYPE_IDENTITY, 1, 0};
    memcpy(ret_pdu->bytes, bytes, sizeof(bytes));
    ret_pdu->size = sizeof(bytes);
}

static void keep(char target[IDENTITY_TEXT_SIZE], const uint8_t *bytes, size_t size) {
    size_t length = 0;
    for (size_t i = 0; i < size && length + 1 < IDENTITY_TEXT_SIZE; i++)
        if (bytes[i] >= 0x20 && bytes[i] < 0x7F)
            target[length++] = (char)bytes[i];
    while (length > 0 && target[length - 1] == ' ')
        length--;
    target[length] = '\0';
}

enum err identity_read(const struct pdu *answer, struct identity *ret_identity) {
    memset(ret_identity, 0, sizeof(*ret_identity));
    if (answer->size == 2 && answer->bytes[0] == (FC_ENCAPSULATED | 0x80))
        return ERR_REFUSED;
    if (answer->size < HEAD_SIZE || answer->bytes[0] != FC_ENCAPSULATED || answer->bytes[1] != TYPE_IDENTITY)
        return ERR_PROTOCOL;
    size_t at = HEAD_SIZE;
    for (unsigned i = 0; i < answer->bytes[6]; i++) {
        if (at + 2 > answer->size || at + 2 + answer->bytes[at + 1] > answer->size)
            return ERR_PROTOCOL;
        const uint8_t *object = answer->bytes + at;
        if (object[0] == 0)
            keep(ret_identity->vendor, object + 2, object[1]);
        else if (object[0] == 1)
            keep(ret_identity->product, object + 2, object[1]);
        else if (object[0] == 2)
            keep(ret_identity->revision, object + 2, object[1]);
        at += 2 + (size_t)object[1];
    }
    return ERR_OK;
}
