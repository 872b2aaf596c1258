/* SPDX-License-Identifier: Apache-2.0 */
/* Why a connection did not come about: from codes to a reason and a sentence for a person. Pure. */
#ifndef YANHUO_MQTT_REASON_H
#define YANHUO_MQTT_REASON_H

#include "gateway/io/mqtt.h"

enum mqtt_looked { LOOKED_NOT, LOOKED_REFUSED, LOOKED_NO_WAY, LOOKED_ACCEPTED }; /* what a plain TCP connect to the broker gave */

struct mqtt_failure {
    const char *host;
    uint16_t port;
    bool tls, has_certificate; /* ours, for the broker */
    uint8_t version;           /* tried: 5 or 4 */
    int code;                  /* of the CONNACK when positive, else the library's */
    const char *code_text;     /* the protocol's name of an MQTT 5 reason, or "" */
    bool timed_out, closed;    /* no answer; closed after our CONNECT was sent */
    bool host_mismatch;        /* the chain holds but the certificate names another host */
    const char *tls_text;      /* OpenSSL's reason, or "" */
    enum mqtt_looked looked;
    int looked_errno;
};

/* True when the broker does not speak the protocol version, or hung up as old brokers do when they see a newer one. */
bool mqtt_failure_is_version(const struct mqtt_failure *failure);

/* True when the codes alone do not tell, and a plain TCP connect to the broker would. */
bool mqtt_failure_wants_look(const struct mqtt_failure *failure);

/* Fills in reason, code and text. */
void mqtt_failure_explain(const struct mqtt_failure *failure, struct mqtt_link_down *ret_down);

/* A sentence into a bounded text; what does not fit is cut off. */
__attribute__((format(printf, 3, 4))) void mqtt_say(char *text, size_t size, const char *format, ...);

/* OpenSSL's error line "thread:error:code:library:function:reason:file:line:" cut down to its reason. */
void mqtt_tls_reason(const char *line, size_t length, char *ret_reason, size_t size);

#endif
