/* SPDX-License-Identifier: Apache-2.0 */
/* A command's payload as a struct command (gateway/core/command.h), whatever the bytes. Reads no clock, keeps nothing; the one file
 * of the product that includes cJSON.h, and only to read.
 *
 *   {"id":"c-1","by":"Wang","issued":TIME,"expires":TIME, fields of the verb}
 *   {"signed":"the text above","hmac":"64 hexadecimal digits"}      HMAC-SHA256 over GATEWAY_ID \n VERB \n the signed text: what is
 *                                                                    signed for one gateway and verb is nothing to another
 * Verbs that need authority are taken signed, or from a local peer who owns the machine; others may be signed.
 *
 * Strict: what is not exactly this is refused with one sentence. Whether the times, names and values make sense now is for the core. */
#ifndef YANHUO_COMMAND_JSON_H
#define YANHUO_COMMAND_JSON_H

#include "gateway/core/command.h"

#define COMMAND_DEPTH_MAX 4       /* a command is flat; more is a mistake, or an attempt on the reader's stack */
#define COMMAND_KEY_MIN 16        /* bytes: 128 bits are not guessed, and shorter words are */
#define COMMAND_HMAC_SIZE 65      /* its digits with their end mark */
#define COMMAND_MINUTES_MAX 1440  /* a walk test of more than a day is a forgotten one */

struct command_source {
    enum command_channel channel;
    uint16_t uplink;
    uint32_t socket_id;
    const char *peer;
    bool authorised, retained;
};

struct command_key {
    const char *gateway_id;
    const void *bytes; /* NULL: there is none */
    size_t size;
    const char *missing; /* why there is none, for a person */
};

/* `payload` has the first COMMAND_SIZE bytes of `size`, if there are so many; no end mark is needed. */
void command_json_read(const struct command_source *source, const struct command_key *key, const char *verb, const char *payload, size_t size,
                       struct command *ret_command);

/* The code that makes `text` a command of this verb. False: no key, or no memory. */
bool command_json_sign(const struct command_key *key, const char *verb, const char *text, char ret_hmac[COMMAND_HMAC_SIZE]);

#endif
