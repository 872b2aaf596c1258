/* SPDX-License-Identifier: Apache-2.0 */
/* Device identification (function 43, type 14): what a device says of itself, where it can. Pure. */
#ifndef YANHUO_IDENTITY_H
#define YANHUO_IDENTITY_H

#include "sensors/frame.h"

#define IDENTITY_TEXT_SIZE 64

struct identity {
    char vendor[IDENTITY_TEXT_SIZE], product[IDENTITY_TEXT_SIZE], revision[IDENTITY_TEXT_SIZE]; /* "" when not told */
};

/* Asks for the basic objects: vendor name, product code, revision. */
void identity_request(struct pdu *ret_pdu);

/* ERR_REFUSED for an exception, ERR_PROTOCOL for bytes that are no such answer. Only characters that can be printed are kept. */
NODISCARD enum err identity_read(const struct pdu *answer, struct identity *ret_identity);

#endif
